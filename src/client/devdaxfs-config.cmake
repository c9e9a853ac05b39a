# SPDX-License-Identifier: BSD-3-Clause
# Targets: devdaxfs::devdaxfs, and devdaxfs::devdaxfs_static, which wants libpmem2 beside it.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/devdaxfs-targets.cmake)
