#!/bin/sh
# Cases of the shell scripts of this project, in the output form of cmocka. $1 is the project's root.
set -u
root=$1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
passed=0
failed=''

# check NAME COMMAND...: one case.
check() {
    name=$1
    shift
    echo "[ RUN      ] $name"
    if "$@" >"$scratch/output" 2>&1; then
        echo "[       OK ] $name"
        passed=$((passed + 1))
    else
        sed 's/^/    /' "$scratch/output"
        echo "[  FAILED  ] $name"
        failed="$failed $name"
    fi
}

# A testlog.txt of meson: section RESULT LINE...
section() {
    printf '=================================== 1/2 ===================================\n'
    printf 'test:         x / y\nstart time:   00:00:00\nduration:     0.01s\nresult:       %s\n' "$1"
    printf 'command:      /x/y\n'
    shift
    printf '%s\n' "$@"
    printf '==============================================================================\n\n'
}

counts() {
    expected=$1
    got=$(awk -f "$root/tests/count.awk" "$scratch/log")
    status=$?
    echo "expected '$expected', got '$got' with status $status"
    [ "$got" = "$expected" ] || return 1
    case $expected in
    "0 passed"* | *[1-9]" failed" | *[1-9]0" failed") [ $status -eq 1 ] ;;
    *) [ $status -eq 0 ] ;;
    esac
}

run='[==========] Running 3 test(s).'
one='[       OK ] one'

section 'exit status 0' "$run" "$one" '[  PASSED  ] 3 test(s).' >"$scratch/log"
check cases_that_passed_are_counted counts '3 passed, 0 failed'

section 'exit status 1' "$run" "$one" '[  FAILED  ] two' '[  PASSED  ] 2 test(s).' \
    '[  FAILED  ] 1 test(s), listed below:' '[  FAILED  ] two' >"$scratch/log"
check cases_that_failed_are_counted counts '2 passed, 1 failed'

section 'killed by signal 11 SIGSEGV' "$run" "$one" >"$scratch/log"
check a_crash_is_one_failed_case counts '1 passed, 1 failed'

section 'exit status 23' "$run" '[  PASSED  ] 3 test(s).' >"$scratch/log"
check a_leak_at_the_end_is_one_failed_case counts '3 passed, 1 failed'

section 'exit status 0' 'no cmocka here' >"$scratch/log"
section 'exit status 2' 'no cmocka here' >>"$scratch/log"
check other_programs_are_one_case_each counts '1 passed, 1 failed'

: >"$scratch/log"
check nothing_at_all_is_a_failure counts '0 passed, 0 failed'

no_colour_in_a_pipe() {
    "$root/quickstart" --help | grep -q "$(printf '\033')" && return 1
    return 0
}
refused() {
    "$root/quickstart" "$@" >"$scratch/said" 2>&1
    status=$?
    cat "$scratch/said"
    [ $status -eq 1 ] && grep -q "$message" "$scratch/said"
}
check help_is_an_answer "$root/quickstart" --help
check help_has_no_colour_codes_in_a_pipe no_colour_in_a_pipe
message='unknown option: --nonsense'
check an_unknown_option_is_refused refused --nonsense
message='there is no such folder'
check a_folder_that_is_not_there_is_refused refused --no-install "$scratch/none"
# No package is seen as there, and nothing is installed: it says so and stops before the build.
without_tools() {
    mkdir -p "$scratch/bin"
    for tool in sh dirname id cat env sed; do
        ln -sf "$(command -v "$tool")" "$scratch/bin/$tool"
    done
    message='meson  *reads meson.build' PATH="$scratch/bin" refused_without_install
}
refused_without_install() {
    "$root/quickstart" --no-install >"$scratch/said" 2>&1
    status=$?
    PATH=$old_path
    cat "$scratch/said"
    [ $status -eq 1 ] && grep -q "$message" "$scratch/said" && ! grep -q '== Build ==' "$scratch/said"
}
old_path=$PATH
check what_is_missing_is_named without_tools

for script in quickstart .ci/run tools/check tests/house/test_scripts.sh tests/store/with_postgres.sh; do
    check "plain_shell_$(basename "$script")" sh -n "$root/$script"
done

set -- $failed
echo "[==========] $((passed + $#)) test(s) run."
echo "[  PASSED  ] $passed test(s)."
[ $# -eq 0 ] && exit 0
echo "[  FAILED  ] $# test(s), listed below:"
printf '[  FAILED  ] %s\n' "$@"
exit 1
