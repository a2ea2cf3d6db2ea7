/* All of libmaliang. */
#ifndef MALIANG_H
#define MALIANG_H

#include "maliang/catalog.h"
#include "maliang/curate.h"
#include "maliang/dataset.h"
#include "maliang/engine.h"
#include "maliang/error.h"
#include "maliang/find.h"
#include "maliang/label.h"
#include "maliang/material.h"
#include "maliang/system.h"
#include "maliang/train.h"
#include "maliang/write.h"

#endif
