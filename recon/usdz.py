"""Meshes as USDZ, which iPhones, iPads and Macs open by themselves, and Blender and Omniverse import.

By hand: a USDZ file is a ZIP archive, nothing in it compressed, that holds a scene description, here as text, and its
pictures, each from a multiple of 64 bytes on. So no USD library is needed, whose licence may not go with ours.
Source: OpenUSD, "USDZ File Format Specification" and "UsdPreviewSurface Specification".
"""

import io
import zipfile
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recon.glb import srgb_to_linear
from recon.mesh_geometry import vertex_normals
from recon.scene import Mesh

_ALIGNMENT = 64
_LOCAL_HEADER_BYTES = 30  # of a ZIP archive, before the name
_EXTRA_HEADER_BYTES = 4  # kind and length of what pads the header
_PADDING_KIND = b"\x86\x19"  # 0x1986, as the OpenUSD library uses
_JPEG_QUALITY = 95

_SCENE = """#usda 1.0
(
    defaultPrim = "Scene"
    doc = "Handful"
    metersPerUnit = 1
    upAxis = "Y"
)

def Xform "Scene" (
    kind = "component"
)
{{
    def Mesh "Mesh" (
        prepend apiSchemas = ["MaterialBindingAPI"]
    )
    {{
        uniform bool doubleSided = 1
        float3[] extent = [{extent}]
        int[] faceVertexCounts = [{counts}]
        int[] faceVertexIndices = [{corners}]
        rel material:binding = </Scene/Photos>
        normal3f[] normals = [{normals}] (
            interpolation = "vertex"
        )
        point3f[] points = [{points}]
        {primvar} (
            interpolation = "vertex"
        )
        uniform token subdivisionScheme = "none"
    }}

    def Material "Photos"
    {{
        token outputs:surface.connect = </Scene/Photos/Surface.outputs:surface>

        def Shader "Surface"
        {{
            uniform token info:id = "UsdPreviewSurface"
            color3f inputs:diffuseColor.connect = </Scene/Photos/Color.outputs:{output}>
            float inputs:metallic = 0
            float inputs:roughness = 1
            token outputs:surface
        }}
{shaders}
    }}
}}
"""
_TEXTURE = """
        def Shader "Color"
        {
            uniform token info:id = "UsdUVTexture"
            asset inputs:file = @photos.jpg@
            token inputs:sourceColorSpace = "sRGB"
            float2 inputs:st.connect = </Scene/Photos/Places.outputs:result>
            token inputs:wrapS = "clamp"
            token inputs:wrapT = "clamp"
            float3 outputs:rgb
        }

        def Shader "Places"
        {
            uniform token info:id = "UsdPrimvarReader_float2"
            string inputs:varname = "st"
            float2 outputs:result
        }"""
_COLORS = """
        def Shader "Color"
        {
            uniform token info:id = "UsdPrimvarReader_float3"
            string inputs:varname = "displayColor"
            float3 outputs:result
        }"""


def usdz_bytes(mesh: Mesh) -> bytes:
    """A file with normals and a texture or, without one, vertex colours, which phones do not show.

    +Y is up, as in our world. A unit of ours is said to be a metre, as in glTF. USD knows no unlit material: the
    surface is matt, and lit once more by the light of the viewer. Vertices on seams of the texture are repeated.
    """
    normals = vertex_normals(mesh.vertices, mesh.faces)
    texture = mesh.texture
    if texture is None:
        colors = f"color3f[] primvars:displayColor = [{_rows(srgb_to_linear(mesh.vertex_rgb))}]"
        scene = _scene(mesh.vertices, normals, mesh.faces, colors, "result", _COLORS)
        return _archive({"scene.usda": scene})
    vertex = np.zeros(len(texture.uv), np.int32)
    vertex[texture.faces] = mesh.faces
    places = np.stack([texture.uv[:, 0], 1 - texture.uv[:, 1]], axis=1)  # USD counts from below
    primvar = f"texCoord2f[] primvars:st = [{_rows(places)}]"
    picture = io.BytesIO()
    Image.fromarray(texture.rgb).save(picture, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    scene = _scene(mesh.vertices[vertex], normals[vertex], texture.faces, primvar, "rgb", _TEXTURE)
    return _archive({"scene.usda": scene, "photos.jpg": picture.getvalue()})


def _scene(
    points: NDArray[np.float32],
    normals: NDArray[np.float32],
    faces: NDArray[np.int32],
    primvar: str,
    output: str,
    shaders: str,
) -> bytes:
    text = _SCENE.format(
        extent=_rows(np.stack([points.min(axis=0), points.max(axis=0)])),
        counts=", ".join(["3"] * len(faces)),
        corners=", ".join(map(str, faces.ravel().tolist())),
        normals=_rows(normals),
        points=_rows(points),
        primvar=primvar,
        output=output,
        shaders=shaders,
    )
    return text.encode("ascii")


def _rows(values: NDArray[np.float32]) -> str:
    """Tuples of numbers with as many digits as float32 has."""
    row = f"({', '.join(['%.9g'] * values.shape[1])})"
    rows: Iterable[list[float]] = values.astype(np.float32).tolist()
    return ", ".join([row % tuple(numbers) for numbers in rows])


def _archive(files: dict[str, bytes]) -> bytes:
    """Files in a ZIP archive, uncompressed, each at a multiple of 64 bytes; the first one is the scene."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # equal scenes make equal files
            start = data.tell() + _LOCAL_HEADER_BYTES + len(name) + _EXTRA_HEADER_BYTES
            padding = -start % _ALIGNMENT
            entry.extra = _PADDING_KIND + padding.to_bytes(2, "little") + bytes(padding)
            archive.writestr(entry, content)
    return data.getvalue()
