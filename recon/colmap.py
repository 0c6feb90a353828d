"""The border to pycolmap: incremental mapping, triangulation and bundle adjustment on our own matches.

Nothing else imports pycolmap, and only plain arrays cross this border. Its feature types are never touched: asking
the wheel for one that needs ONNX ends the process.
"""

import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pycolmap
from numpy.typing import NDArray

from recon.sparse_model import MAPPING_SIDE_PX, Lens, MappingProblem, SparseModel
from recon.undistort import DistortedCamera
from splatting.camera import Camera


class ColmapError(RuntimeError):
    """COLMAP refused or failed; chained to what it said."""


@dataclass(frozen=True)
class MapperGates:
    """How much evidence mapping asks for, far below COLMAP's defaults, which place nothing with three wide photos.

    Attributes:
        min_pair_matches: verified matches a pair needs to be used.
        min_init_inliers: matches the first pair needs.
        min_init_angle_deg: median ray angle the first pair needs.
        min_pose_inliers: 2D-3D correspondences that must agree on a camera.
        min_point_angle_deg: smallest ray angle of a point.
    """

    min_pair_matches: int = 10
    min_init_inliers: int = 25
    min_init_angle_deg: float = 4.0
    min_pose_inliers: int = 10
    min_point_angle_deg: float = 1.0


def map_photos(
    problem: MappingProblem,
    lenses: Sequence[Lens],
    gates: MapperGates,
    *,
    seed: int,
    first_pair: tuple[int, int] | None = None,
    start: SparseModel | None = None,
    on_photo: Callable[[], None] = lambda: None,
) -> SparseModel | None:
    """Place photos one after another with the lenses held fixed.

    Holding the lens is what keeps the focal length from running away when there are three photos.

    Args:
        problem: matches in the mapping frame.
        lenses: one for each lens of the problem.
        gates: how much evidence is asked for.
        seed: of every random choice.
        first_pair: photos to begin with; None leaves the choice to COLMAP.
        start: photos that are placed already, and their points: the others are placed beside them, and their cameras
            do not move. None: mapping looks for the first pair itself.
        on_photo: called after every placed photo; what it raises ends the mapping and is passed on.

    Returns:
        The model with most placed photos, then most observations; `start` when nothing could be placed beside it; None
        when not even two photos could be placed.

    Raises:
        ColmapError: COLMAP failed.
    """
    with _guarded("mapping"), TemporaryDirectory(prefix="handful-") as folder:
        database = Path(folder, "matches.db")
        _write_database(database, problem, lenses)
        options = _pipeline_options(gates, seed)
        if first_pair is not None:
            options.init_image_id1, options.init_image_id2 = (photo + 1 for photo in first_pair)
            options.init_num_trials, options.multiple_models = 1, False  # it is this pair or none
        placed = Path(folder, "placed")
        if start is not None:
            options.fix_existing_frames = True
            options.multiple_models = False  # no second model without them
            placed.mkdir()
            _colmap_model(problem, replace(start, lenses=tuple(lenses))).write(placed)
        models = pycolmap.incremental_mapping(
            database, folder, folder, options, input_path=placed if start else "", next_image_callback=on_photo
        )
        usable = [model for model in models.values() if model.num_reg_images() >= 2 and model.num_points3D() > 0]
        if start is not None:
            usable = [model for model in usable if start.cam_from_world.keys() <= _placed_photos(model)]
        if not usable:
            return start
        return _plain(max(usable, key=lambda m: (m.num_reg_images(), m.compute_num_observations())), problem, lenses)


def triangulate(problem: MappingProblem, model: SparseModel, gates: MapperGates, *, seed: int) -> SparseModel:
    """Triangulate the matches anew with the cameras of a model held fixed; its points are forgotten."""
    with _guarded("triangulation"), TemporaryDirectory(prefix="handful-") as folder:
        database = Path(folder, "matches.db")
        _write_database(database, problem, model.lenses)
        reconstruction = _colmap_model(problem, model)
        options = _pipeline_options(gates, seed)
        found = pycolmap.triangulate_points(
            reconstruction, database, folder, folder, clear_points=True, options=options, refine_intrinsics=False
        )
        return _plain(found, problem, model.lenses)


@dataclass(frozen=True)
class Adjusted:
    """A bundle-adjusted model.

    Attributes:
        model: the same photos and points, moved.
        focal_sigmas: for each freed lens the standard deviation of log(focal) that independent keypoint noise of
            one px would leave; infinite where the photos do not determine it.
    """

    model: SparseModel
    focal_sigmas: dict[int, float]


def adjust(
    problem: MappingProblem, model: SparseModel, *, free_lenses: Collection[int] = (), free_radial: bool = False
) -> Adjusted:
    """Bundle-adjust cameras and points with a Cauchy loss of one px.

    Args:
        problem: holds the keypoints.
        model: where to start.
        free_lenses: lenses whose focal length moves too; the others are held.
        free_radial: their radial coefficients move as well.

    Raises:
        ColmapError: COLMAP failed or found nothing usable.
    """
    with _guarded("bundle adjustment"):
        reconstruction = _colmap_model(problem, model)
        options = pycolmap.BundleAdjustmentOptions()
        options.print_summary = False
        options.refine_focal_length = True
        options.refine_extra_params = free_radial
        options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
        options.ceres.loss_function_scale = 1.0
        options.ceres.solver_options.num_threads = 1
        options.ceres.solver_options.function_tolerance = 1e-7
        config = pycolmap.BundleAdjustmentConfig()
        for image_id in reconstruction.reg_image_ids():
            config.add_image(image_id)
        for lens_idx in set(range(len(model.lenses))) - set(free_lenses):
            config.set_constant_cam_intrinsics(lens_idx + 1)
        config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
        adjuster = pycolmap.create_default_ceres_bundle_adjuster(options, config, reconstruction)
        summary = adjuster.solve()
        if not summary.is_solution_usable():
            raise ColmapError(f"bundle adjustment found nothing usable: {summary.brief_report()}")
        sigmas = _focal_sigmas(reconstruction, adjuster, free_lenses)
        return Adjusted(_plain(reconstruction, problem, model.lenses), sigmas)


def binary_model_as_text(folder: Path, text_folder: Path) -> None:
    """Write the binary model of one folder as text into another, existing one.

    Raises:
        ColmapError: the folder holds no readable model.
    """
    with _guarded("reading a model"):
        pycolmap.Reconstruction(folder).write_text(text_folder)


_QUIET = threading.Lock()


@contextmanager
def _guarded(what: str) -> Iterator[None]:
    """Keep COLMAP silent (its errors arrive as exceptions) and name the step that failed."""
    with _QUIET:
        pycolmap.logging.minloglevel = int(pycolmap.logging.Level.FATAL)
    try:
        yield
    except (RuntimeError, ValueError, IndexError) as error:
        if isinstance(error, ColmapError):
            raise
        raise ColmapError(f"COLMAP failed in {what}: {error}") from error


def _colmap_camera(lens_idx: int, lens: Lens) -> pycolmap.Camera:
    camera = pycolmap.Camera(
        camera_id=lens_idx + 1,
        model="SIMPLE_RADIAL",
        width=MAPPING_SIDE_PX,
        height=MAPPING_SIDE_PX,
        params=[lens.focal * MAPPING_SIDE_PX, MAPPING_SIDE_PX / 2, MAPPING_SIDE_PX / 2, lens.radial],
    )
    camera.has_prior_focal_length = True
    return camera


def _write_database(path: Path, problem: MappingProblem, lenses: Sequence[Lens]) -> None:
    """Write keypoints and matches as verified pairs; image_id = photo + 1, camera_id = lens + 1.

    The matches are verified already, so COLMAP's own verification, once per focal hypothesis, is skipped.
    """
    database = pycolmap.Database.open(path)
    try:
        rig_ids = [_write_camera(database, idx, lens) for idx, lens in enumerate(lenses)]
        for photo, keypoints in enumerate(problem.keypoints):
            lens_idx = problem.lens_of[photo]
            image = pycolmap.Image(name=str(photo), camera_id=lens_idx + 1, image_id=photo + 1)
            database.write_image(image, use_image_id=True)
            frame = pycolmap.Frame()  # COLMAP 4 asks for a rig and a frame even around single cameras
            frame.rig_id = rig_ids[lens_idx]
            frame.add_data_id(image.data_id)
            database.write_frame(frame)
            database.write_keypoints(photo + 1, np.ascontiguousarray(keypoints, np.float32))
        for pair in problem.pairs:
            matches = np.ascontiguousarray(pair.indices, np.uint32)
            database.write_matches(pair.a + 1, pair.b + 1, matches)
            geometry = pycolmap.TwoViewGeometry()
            geometry.config = pycolmap.TwoViewGeometryConfiguration.CALIBRATED
            geometry.inlier_matches = matches
            database.write_two_view_geometry(pair.a + 1, pair.b + 1, geometry)
    finally:
        database.close()


def _write_camera(database: pycolmap.Database, lens_idx: int, lens: Lens) -> int:
    camera = _colmap_camera(lens_idx, lens)
    database.write_camera(camera, use_camera_id=True)
    rig = pycolmap.Rig()
    rig.add_ref_sensor(camera.sensor_id)
    return int(database.write_rig(rig))


def _pipeline_options(gates: MapperGates, seed: int) -> pycolmap.IncrementalPipelineOptions:
    options = pycolmap.IncrementalPipelineOptions()
    options.extract_colors = False
    options.random_seed = seed
    options.num_threads = 1  # more threads only burn CPU on so few images
    options.min_num_matches = gates.min_pair_matches
    options.min_model_size = 2
    # Looser and rarer adjustments than COLMAP's: a third of the time, the same cameras after the last adjustment.
    options.ba_global_frames_ratio = 1.5
    options.ba_global_points_ratio = 1.5
    options.ba_global_function_tolerance = 1e-5
    options.ba_local_function_tolerance = 1e-5
    options.ba_refine_focal_length = False
    options.ba_refine_extra_params = False
    options.mapper.num_threads = 1
    options.mapper.abs_pose_refine_focal_length = False
    options.mapper.abs_pose_refine_extra_params = False
    options.mapper.init_min_num_inliers = gates.min_init_inliers
    options.mapper.init_min_tri_angle = gates.min_init_angle_deg
    options.mapper.init_max_forward_motion = 0.97
    options.mapper.abs_pose_min_num_inliers = gates.min_pose_inliers
    options.mapper.abs_pose_min_inlier_ratio = 0.1
    options.mapper.filter_min_tri_angle = gates.min_point_angle_deg
    options.triangulation.min_angle = gates.min_point_angle_deg
    options.triangulation.ignore_two_view_tracks = False
    return options


def _colmap_model(problem: MappingProblem, model: SparseModel) -> pycolmap.Reconstruction:
    reconstruction = pycolmap.Reconstruction()
    for idx, lens in enumerate(model.lenses):
        reconstruction.add_camera_with_trivial_rig(_colmap_camera(idx, lens))
    for photo, cam_from_world in model.cam_from_world.items():
        image = pycolmap.Image(
            name=str(photo),
            camera_id=problem.lens_of[photo] + 1,
            image_id=photo + 1,
            keypoints=problem.keypoints[photo],
        )
        reconstruction.add_image_with_trivial_frame(image, pycolmap.Rigid3d(cam_from_world[:3]))
    order = np.argsort(model.point_of, kind="stable")
    starts = np.searchsorted(model.point_of[order], np.arange(len(model.xyz) + 1))
    for point, xyz in enumerate(model.xyz):
        track = pycolmap.Track()
        for row in order[starts[point] : starts[point + 1]]:
            track.add_element(int(model.photo_of[row]) + 1, int(model.keypoint_of[row]))
        reconstruction.add_point3D(xyz, track)
    return reconstruction


def _plain(reconstruction: pycolmap.Reconstruction, problem: MappingProblem, lenses: Sequence[Lens]) -> SparseModel:
    """Our arrays of COLMAP's model; lenses of unplaced photos stay what they were."""
    found = list(lenses)
    for camera_id, camera in reconstruction.cameras.items():
        found[camera_id - 1] = Lens(float(camera.params[0]) / MAPPING_SIDE_PX, float(camera.params[3]))
    cam_from_world = {}
    for image_id in sorted(reconstruction.reg_image_ids()):
        cam_from_world[image_id - 1] = _matrix4(reconstruction.image(image_id).cam_from_world())
    points = [reconstruction.points3D[point_id] for point_id in sorted(reconstruction.points3D)]
    observations = np.array(
        [(i, e.image_id - 1, e.point2D_idx) for i, point in enumerate(points) for e in point.track.elements], np.int64
    ).reshape(-1, 3)
    xyz = np.array([point.xyz for point in points], np.float64).reshape(-1, 3)
    return SparseModel(tuple(found), cam_from_world, xyz, *observations.T)


def _placed_photos(reconstruction: pycolmap.Reconstruction) -> set[int]:
    return {image_id - 1 for image_id in reconstruction.reg_image_ids()}


def _focal_sigmas(
    reconstruction: pycolmap.Reconstruction, adjuster: pycolmap.CeresBundleAdjuster, free_lenses: Collection[int]
) -> dict[int, float]:
    if not free_lenses:
        return {}
    options = pycolmap.BACovarianceOptions()
    options.params = pycolmap.BACovarianceOptionsParams.ALL
    covariance = pycolmap.estimate_ba_covariance(options, reconstruction, adjuster)
    sigmas = {}
    for lens_idx in free_lenses:
        params = reconstruction.camera(lens_idx + 1).params
        block = None if covariance is None else covariance.get_other_params_cov(params)
        variance = float("inf") if block is None else float(block[0, 0])
        sigmas[lens_idx] = variance**0.5 / float(params[0]) if 0 < variance < float("inf") else float("inf")
    return sigmas


def _matrix4(rigid: pycolmap.Rigid3d) -> NDArray[np.float64]:
    return np.vstack([rigid.matrix(), [0.0, 0.0, 0.0, 1.0]])


def match_plainly(database: Path, photos: Path, names: Sequence[str]) -> None:
    """COLMAP as it comes: SIFT features and exhaustive matching of photos in a folder, into a new database.

    Raises:
        ColmapError: COLMAP failed.
    """
    with _guarded("plain matching"):
        pycolmap.set_random_seed(0)
        pycolmap.extract_features(database, photos, image_names=list(names))
        pycolmap.match_exhaustive(database)


def map_plainly(
    database: Path, photos: Path, folder: Path, *, seed: int, known: Mapping[str, DistortedCamera] | None = None
) -> dict[str, Camera]:
    """COLMAP as it comes: incremental mapping with its defaults.

    Args:
        database: made by `match_plainly`; not changed.
        photos: the folder it was made from.
        folder: an existing one, for COLMAP's files.
        seed: of its random choices.
        known: cameras of all photos whose lenses are right. Pairs are verified anew with them and they are held.

    Returns:
        The pinhole part of each placed photo's camera, by name; of the model with most photos.

    Raises:
        ColmapError: COLMAP failed.
    """
    with _guarded("plain mapping"):
        pycolmap.set_random_seed(seed)
        options = pycolmap.IncrementalPipelineOptions()
        options.random_seed = seed
        if known is not None:
            database = Path(shutil.copy(database, folder / "known.db"))
            _set_known_lenses(database, known)
            options.ba_refine_focal_length = options.ba_refine_extra_params = False
            options.mapper.abs_pose_refine_focal_length = options.mapper.abs_pose_refine_extra_params = False
        models = pycolmap.incremental_mapping(database, photos, folder, options)
        best = max(models.values(), key=lambda m: (m.num_reg_images(), m.num_points3D()), default=None)
        if best is None:
            return {}
        placed = [best.image(image_id) for image_id in best.reg_image_ids()]
        return {
            image.name: Camera(
                np.array(best.camera(image.camera_id).calibration_matrix()),
                _matrix4(image.cam_from_world()),
                best.camera(image.camera_id).width,
                best.camera(image.camera_id).height,
            )
            for image in placed
        }


def _set_known_lenses(path: Path, known: Mapping[str, DistortedCamera]) -> None:
    """Give each photo of a database its lens, and verify its pairs anew."""
    database = pycolmap.Database.open(path)
    try:
        for image in database.read_all_images():
            distorted, camera = known[image.name], database.read_camera(image.camera_id)
            K = distorted.camera.resized(camera.width, camera.height).K
            camera.model = pycolmap.CameraModelId.OPENCV
            camera.params = [K[0, 0], K[1, 1], K[0, 2], K[1, 2], *distorted.distortion]
            camera.has_prior_focal_length = True
            database.update_camera(camera)
        database.clear_two_view_geometries()
    finally:
        database.close()
    pycolmap.geometric_verification(path)
