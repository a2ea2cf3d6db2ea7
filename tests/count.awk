# Reads meson-logs/testlog.txt and prints "N passed, N failed", one for each test case: a program of
# cmocka counts its cases by its own summary; any other program is one case; a program that dies is
# one failed case beside those that it had finished. Exit status 1 when any failed or none ran.
#
#     awk -f tests/count.awk build/meson-logs/testlog.txt

function close_program() {
    if (!inside)
        return
    inside = 0
    clean = result == "exit status 0"
    if (summary) {
        if (!clean && failures == 0)
            failures = 1 # it died, or a sanitizer complained, after the last case
    } else if (cases) {
        passes = finished
        failures = broken > 0 ? broken + 1 : 1
    } else {
        passes = clean
        failures = !clean
    }
    if (result == "exit status 77" && !cases) # meson's sign for "skipped"
        passes = failures = 0
    passed += passes
    failed += failures
}

/^=+ +[0-9]+\/[0-9]+ +=+$/ {
    close_program()
    inside = 1
    result = ""
    summary = cases = finished = broken = passes = failures = 0
    next
}
/^Summary of Failures:$/ || /^Ok: +[0-9]+ *$/ { close_program() }
!inside { next }
/^result: +/ && result == "" { sub(/^result: +/, ""); result = $0; next }
/^\[==========\] Running / || /^\[ RUN      \] / { cases = 1; next }
/^\[       OK \] / { finished++; next }
/^\[  PASSED  \] [0-9]+ test\(s\)\.$/ { summary = 1; passes += $4; next }
/^\[  FAILED  \] [0-9]+ test\(s\), listed below:$/ { failures += $4; next }
/^\[  FAILED  \] / { broken++; next }

END {
    close_program()
    printf "%d passed, %d failed\n", passed, failed
    exit failed > 0 || passed == 0
}
