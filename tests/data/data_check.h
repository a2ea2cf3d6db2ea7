/* What the tests of src/data start with. */
#ifndef DATA_CHECK_H
#define DATA_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
