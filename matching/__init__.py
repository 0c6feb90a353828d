"""Images to correspondences and depth: sparse matchers and multi-view stereo. Knows no scene."""
