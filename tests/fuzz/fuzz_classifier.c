/* Files of text classifiers: any bytes are refused or give one that can be applied. */
#include "fuzz.h"

#include "text/classifier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_classifier *classifier = NULL;
    struct ml_classifier_work work = {0};
    float p[ML_CLASSIFIER_MAX_LABELS];
    if (ml_classifier_parse(&classifier, data, size, "fuzz", NULL) == 0)
        ml_classifier_apply(classifier, &work, "The fox 和葡萄", 15, p, NULL);
    ml_classifier_work_clear(&work);
    ml_classifier_free(classifier);
    return 0;
}
