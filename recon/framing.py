"""Decide the frame of a project once, keep it in `project.json`, and let nothing stand there in another one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon.dense import DenseScene
from recon.errors import ReconError
from recon.frame import AS_IT_IS, Frame, frame_from_document, frame_to_document, is_same, unscaled_frame
from recon.frame_wish import FrameWish, parse_up, wish_from_document
from recon.mesh_depth import rendered_depths
from recon.project import PROJECT_FILE, Project, fingerprint
from recon.real_scale import DepthAt, depth_around, length_in_scene, parse_measure, require_photos
from recon.scene import DepthMap, Reconstruction
from recon.whole_files import write_whole
from splatting.gaussians import Gaussians
from splatting.rasterizer import Rasterizer

_NO_DEPTH: DepthAt = lambda idx, pixel: None  # noqa: E731


class ProjectFrame:
    """The frame of one run into a project.

    It depends on the cameras and on what the user asked for only as long as both stay: a frame that was found with
    dense depth is kept by later runs that stop at the cameras, or that find another depth.
    """

    def __init__(self, project: Project, wish: FrameWish, *, fixed: Frame | None = None) -> None:
        """Look at what the project holds.

        Args:
            project: its `project.json` keeps the frame; what was wished for before holds where `wish` says nothing.
            wish: of this run.
            fixed: the frame is this one, whatever is found.
        """
        self._project = project
        self._said = wish
        self._block = frame_block(project)
        self._fixed = fixed
        self.wish = wish.over(wish_of(self._block))
        self.warnings: list[str] = []

    def require_photos(self, names: Sequence[str]) -> None:
        """Refuse a length between photos that were not given, before any work is done for it.

        Raises:
            ReconError: one of them was not.
        """
        if self._fixed is None and self._said.scale not in (None, "none"):
            require_photos(parse_measure(str(self._said.scale)), names)

    def from_cameras(self, scene: Reconstruction, *, made_from: str, were_given: bool) -> Frame:
        """The frame as far as cameras and sparse points tell, or the one that is known of the same cameras.

        Args:
            made_from: fingerprint of the cameras.
            were_given: the cameras are the user's.

        Raises:
            ReconError: as `with_depth`, for a length between cameras.
        """
        self._made_from = made_from
        self._were_given = were_given
        if self._fixed is not None:
            self.is_final, self.frame = True, self._fixed
        elif self._block.get("made_from") == frame_key(made_from, self.wish):
            self.is_final, self.frame = bool(self._block["is_final"]), frame_from_document(self._block["frame"])
        else:
            self.is_final = False
            if _needs_depth(self.wish):
                frame = find_frame(replace(self.wish, scale=None), scene, None, _NO_DEPTH, {}, were_given=were_given)
                self.frame = replace(frame, length=f"Arbitrary until there is depth for --scale {self.wish.scale}.")
            else:
                self.frame = self._found(scene, None, _NO_DEPTH, {})
        self._keep()
        return self.frame

    def with_depth(self, scene: Reconstruction, dense: DenseScene, sizes: Mapping[str, tuple[int, int]]) -> Frame:
        """The frame for good, with planes of the dense surface and real lengths.

        Args:
            sizes: width and height of the photos, by name.

        Raises:
            ReconError: the length that was measured now cannot be found in the scene; one from an earlier run is
                only warned of.
        """
        if not self.is_final:
            self.frame = self._found(scene, dense.depth_maps, depths_of_stereo(scene, dense.depth_maps), sizes)
            self.is_final = True
            self._keep()
        return self.frame

    def _found(
        self,
        scene: Reconstruction,
        depth_maps: Sequence[DepthMap] | None,
        depth_at: DepthAt,
        sizes: Mapping[str, tuple[int, int]],
    ) -> Frame:
        """The frame that is wished for; lengths that nobody speaks of now may be lost."""
        try:
            return find_frame(self.wish, scene, depth_maps, depth_at, sizes, were_given=self._were_given)
        except ReconError as error:
            if self._said.scale is not None:
                raise
            self.warnings = [f"The scale of an earlier run does not hold any more. {error.message}"]
            self.wish = replace(self.wish, scale=None)
            return find_frame(self.wish, scene, depth_maps, depth_at, sizes, were_given=self._were_given)

    def _keep(self) -> None:
        before = frame_from_document(self._block["frame"]) if "frame" in self._block else AS_IT_IS
        if not is_same(before, self.frame):
            self._project.drop_results(("points", "splats", "mesh"))  # made in another frame
        self._block = block_of(
            self.wish, self.frame, made_from=frame_key(self._made_from, self.wish), is_final=self.is_final
        )
        write_block(self._project, self._block)


def frame_key(cameras: str, wish: FrameWish) -> str:
    """What a frame depends on.

    Args:
        cameras: fingerprint of what made them.
    """
    return fingerprint("frame 1", cameras, [wish.up, wish.scale])


def _needs_depth(wish: FrameWish) -> bool:
    if wish.scale in (None, "none"):
        return False
    measure = parse_measure(str(wish.scale))
    return measure.a.pixel is not None or measure.b.pixel is not None


def up_of(wish: FrameWish, were_given: bool) -> str | NDArray[np.float64]:
    """Which way up was asked for; nothing was: cameras that were given keep their frame, others are set upright."""
    return parse_up(wish.up) if wish.up is not None else ("none" if were_given else "auto")


def find_frame(
    wish: FrameWish,
    scene: Reconstruction,
    depth_maps: Sequence[DepthMap] | None,
    depth_at: DepthAt,
    sizes: Mapping[str, tuple[int, int]],
    *,
    were_given: bool,
) -> Frame:
    """The frame that is wished for.

    Args:
        depth_maps: one per training view, to find floors and walls in; None: in the sparse points.
        depth_at: where picked points get their depth from.
        sizes: width and height of the photos, by name.
        were_given: the cameras are the user's.

    Raises:
        ReconError: the measured length cannot be found in the scene.
    """
    frame = unscaled_frame(scene, depth_maps, up_of(wish, were_given), were_given=were_given)
    if wish.scale in (None, "none"):
        return frame
    measure = parse_measure(str(wish.scale))
    scale = measure.metres / length_in_scene(measure, scene, sizes, depth_at)
    return replace(frame, scale=scale, t=scale * frame.t, unit="m", length=f"Real: --scale {measure.text}.")


def depths_of_stereo(scene: Reconstruction, depth_maps: Sequence[DepthMap]) -> DepthAt:
    """Depths that several photos agree on; views that are held out have none."""
    trained = [idx for idx, view in enumerate(scene.views) if not view.is_heldout]
    known = {idx: depth_map.depth for idx, depth_map in zip(trained, depth_maps, strict=True)}
    return lambda idx, pixel: depth_around(known[idx], pixel) if idx in known else None


def depths_of_splats(scene: Reconstruction, gaussians: Gaussians, rasterizer: Rasterizer) -> DepthAt:
    """Depths that the splats show."""

    def depth_at(idx: int, pixel: NDArray[np.float64]) -> float | None:
        return depth_around(rendered_depths(gaussians, [scene.views[idx].camera], rasterizer)[0], pixel)

    return depth_at


def frame_block(project: Project) -> dict[str, Any]:
    """The block `frame` of `project.json`; empty where there is none, or one that cannot be understood."""
    try:
        block = json.loads((project.folder / PROJECT_FILE).read_text(encoding="utf-8"))["frame"]
        wish_from_document(block), frame_from_document(block["frame"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return dict(block)


def frame_of(project: Project) -> Frame:
    """The frame that the files of a project are in; that of the stages for projects from before there were frames."""
    block = frame_block(project)
    return frame_from_document(block["frame"]) if block else AS_IT_IS


def wish_of(block: Mapping[str, Any]) -> FrameWish:
    """What was wished for when a block was written."""
    return wish_from_document(block) if block else FrameWish()


def block_of(wish: FrameWish, frame: Frame, *, made_from: str, is_final: bool) -> dict[str, Any]:
    """The block `frame` for `project.json`."""
    document = frame_to_document(frame)
    return {"up": wish.up, "scale": wish.scale, "made_from": made_from, "is_final": is_final, "frame": document}


def write_block(project: Project, block: Mapping[str, Any]) -> None:
    """Put the block `frame` into an existing `project.json`."""
    path = project.folder / PROJECT_FILE
    asked = json.loads(path.read_text(encoding="utf-8"))
    write_whole(path, json.dumps({**asked, "frame": dict(block)}, indent=1) + "\n")
