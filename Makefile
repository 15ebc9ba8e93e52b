# Meson, in the words that everybody's fingers know. The build is in build/.
all: build/build.ninja
	ninja -C build
check: all
	meson test -C build --no-rebuild --print-errorlogs
fmt:
	tools/check_format.py --fix
docs: all
	ninja -C build docs
asan:
	[ -d build-asan ] || meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false -Dseccomp=false
	ninja -C build-asan
	meson test -C build-asan --no-rebuild --print-errorlogs --suite unit --suite kernels --suite golden --suite fuzz
fuzz:
	[ -d build-fuzz ] || CC=clang-19 CXX=clang++-19 meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false
	ninja -C build-fuzz
clean:
	rm -rf build build-asan build-fuzz
build/build.ninja:
	meson setup build
.PHONY: all check fmt docs asan fuzz clean
