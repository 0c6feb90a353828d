// Adds the texture functions to the Python module recon._native.
#pragma once

#include <nanobind/nanobind.h>

void bind_texture(nanobind::module_& m);
