"""The scene: photos to poses, points, Gaussians and mesh. Start reading at recon/pipeline.py."""
