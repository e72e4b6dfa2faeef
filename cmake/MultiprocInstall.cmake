# Installs the library and a CMake package: find_package(multiproc) gives multiproc::multiproc, and
# find_package(multiproc COMPONENTS gtest_main network) multiproc::gtest_main and multiproc::network as well.
include_guard(GLOBAL)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/multiproc")

install(
    TARGETS multiproc
    EXPORT multiprocTargets
    RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
if(TARGET multiproc-worker)
    install(TARGETS multiproc-worker EXPORT multiprocTargets RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
    if(BUILD_SHARED_LIBS AND UNIX)
        if(APPLE)
            set(origin "@loader_path")
        else()
            set(origin "$ORIGIN")
        endif()
        file(RELATIVE_PATH libdir "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
        set_target_properties(multiproc-worker PROPERTIES INSTALL_RPATH "${origin}/${libdir}")
    endif()
endif()
# In a file of its own, because it needs a library that the core does not.
if(TARGET multiproc_network)
    install(
        TARGETS multiproc_network
        EXPORT multiprocNetworkTargets
        RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
    install(
        EXPORT multiprocNetworkTargets
        NAMESPACE multiproc::
        DESTINATION "${package_dir}")
    if(BUILD_SHARED_LIBS AND UNIX)
        if(APPLE)
            set_target_properties(multiproc_network PROPERTIES INSTALL_RPATH "@loader_path")
        else()
            set_target_properties(multiproc_network PROPERTIES INSTALL_RPATH "$ORIGIN")
        endif()
    endif()
endif()
if(TARGET multiproc_gtest_main)
    install(FILES ${gtest_main_sources} DESTINATION "${CMAKE_INSTALL_DATADIR}/multiproc/gtest_main")
endif()
install(DIRECTORY include/multiproc DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.hpp")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/multiproc")

install(
    EXPORT multiprocTargets
    NAMESPACE multiproc::
    DESTINATION "${package_dir}")
configure_package_config_file(
    cmake/multiprocConfig.cmake.in "${PROJECT_BINARY_DIR}/multiprocConfig.cmake"
    INSTALL_DESTINATION "${package_dir}"
    PATH_VARS CMAKE_INSTALL_DATADIR)
# Before 1.0 a minor version may break.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/multiprocConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/multiprocConfig.cmake" "${PROJECT_BINARY_DIR}/multiprocConfigVersion.cmake"
              cmake/MultiprocDependencies.cmake cmake/MultiprocFindSeccomp.cmake DESTINATION "${package_dir}")
