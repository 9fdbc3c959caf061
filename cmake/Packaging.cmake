# cmake --install, and a Debian package: `cpack -G DEB` or the target `package`.
# tools/check_package.sh installs and runs the package in a fresh Debian root.
#
# Programs and man pages are installed where they are built: src/cli/ and docs/man/.
install(FILES README.md CHANGELOG.md LICENSE LICENSE-MIT LICENSE-APACHE docs/mounting.md
              docs/virtual-machines.md
              packaging/debian/copyright
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/formats docs/protocols
        DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")

# systemd looks here whatever the name of the library folder is.
install(FILES packaging/systemd/castore-mount@.service packaging/systemd/castore-virtiofs@.service
              packaging/systemd/castore-virtiofs@.socket
        DESTINATION lib/systemd/system)

set(CPACK_GENERATOR DEB)
set(CPACK_OUTPUT_FILE_PREFIX ${PROJECT_BINARY_DIR}/package)
set(CPACK_PACKAGE_NAME castore)
set(CPACK_PACKAGE_CONTACT "castore developers <castore@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"castore keeps folders, files and archives by their content: equal files are
stored once, every object is named by the BLAKE3 of its bytes, and a whole
tree by one digest. What is stored can be mounted read-only over FUSE, listed,
exported and verified. Its bytes are those of tvix-castore and snix.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Mounting as an ordinary user goes through fusermount3.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS fuse3)
set(CPACK_STRIP_FILES ON)

include(CPack)
