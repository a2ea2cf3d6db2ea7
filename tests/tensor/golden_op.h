/* One op against one case of a golden file. */
#ifndef ML_TESTS_GOLDEN_OP_H
#define ML_TESTS_GOLDEN_OP_H

#include "gradcheck.h"

/* c gives names and dtypes of the inputs and how to build; shapes and numbers come from the entries
 * "prefix.<input>" of the file (integers are stored as floats). Output ("out") and gradients
 * ("d<input>") under the projection "p" are within tolerance. */
void golden_check_op(const char *file, const char *prefix, const struct check *c, double tolerance);

#endif
