/* tests/unit/unit.h - cmocka with the headers that it wants before it. */
#ifndef UNIT_H
#define UNIT_H
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#endif
