// Adds the functions on meshes to the Python module recon._native.
#pragma once

#include <nanobind/nanobind.h>

void bind_meshes(nanobind::module_& m);
