/* Faults that are made on purpose, found, and mended. */
#include "scratch.h"

#include <unistd.h>

#include "store/check.h"
#include "store/datasets.h"
#include "store/runs.h"
#include "store/sql.h"
#include "store/write_lock.h"

static char folder[SCRATCH_PATH];
static struct ml_workspace_options options;
static struct ml_workspace *ws;
static struct ml_arena arena;

static int set_up(void **state)
{
    struct ml_error err = {0};
    scratch_make(folder);
    ml_arena_init(&arena, 0);
    options = scratch_options();
    assert_ok(ml_workspace_open(&ws, folder, &options, &err), err);
    return 0;
}

static int tear_down(void **state)
{
    ml_workspace_close(ws);
    ml_arena_clear(&arena);
    scratch_remove(folder);
    return 0;
}

static enum ml_record_outcome add(const char *source, const char *text)
{
    struct ml_record record = {.kind = "text", .type = "text/plain", .source = source};
    struct ml_error err = {0};
    enum ml_record_outcome outcome;
    assert_ok(ml_records_add(ws, &record, text, strlen(text), NULL, &outcome, &err), err);
    return outcome;
}

static char *path_of(const char *text)
{
    char hash[ML_HASH_HEX];
    ml_hash_text(text, strlen(text), hash);
    return ml_blobs_path(ws, &arena, hash);
}

static struct ml_workspace_check check(bool repair, bool deep)
{
    struct ml_error err = {0};
    struct ml_workspace_check report;
    const struct ml_check_options how = {.repair = repair, .deep = deep};
    assert_ok(ml_workspace_check(ws, &how, &report, &err), err);
    return report;
}

static int64_t count(void)
{
    struct ml_error err = {0};
    int64_t n = -1;
    assert_ok(ml_records_count(ws, NULL, &n, NULL, &err), err);
    return n;
}

static void a_sound_one(void **state)
{
    struct ml_error err = {0};
    struct ml_workspace_check r = check(true, true);
    assert_int_equal(r.problems, 0);
    add("/a", "one");
    add("/b", "three");
    r = check(false, true);
    assert_int_equal(r.problems, 0);
    assert_int_equal(r.remaining, 0);
    assert_int_equal(r.example_count, 0);
    assert_int_equal(r.blobs, 2);
    assert_int_equal(r.bytes, 8);
    assert_int_equal(r.records, 2);
    ml_workspace_close(ws);
    options.read_only = true;
    assert_ok(ml_workspace_open(&ws, folder, &options, &err), err);
    assert_int_equal(check(false, true).problems, 0);
    const struct ml_check_options repair = {.repair = true};
    assert_fails(ml_workspace_check(ws, &repair, &r, &err), ML_ERR_STATE, "reading only", err);
}

/* What killed writers leave, and what others put there. */
static void orphans(void **state)
{
    struct ml_error err = {0};
    char name[SCRATCH_PATH + 64];
    add("/a", "one");
    for (int i = 0; i < 300; i++) {
        char text[32];
        snprintf(text, sizeof text, "orphan %d", i);
        char *path = path_of(text), *slash = strrchr(path, '/');
        *slash = '\0';
        assert_ok(ml_dir_make(path, &err), err);
        *slash = '/';
        assert_ok(ml_file_write(path, text, strlen(text), &err), err);
    }
    snprintf(name, sizeof name, "%s/blobs/.new/blob", folder);
    assert_ok(ml_file_write(name, "half", 4, &err), err);
    snprintf(name, sizeof name, "%s/blobs/notes.txt", folder);
    assert_ok(ml_file_write(name, "?", 1, &err), err);
    snprintf(name, sizeof name, "%s/blobs/76/short", folder);
    assert_ok(ml_dir_make(ml_arena_printf(&arena, "%s/blobs/76", folder), &err), err);
    assert_ok(ml_file_write(name, "?", 1, &err), err);
    struct ml_workspace_check r = check(false, false);
    assert_int_equal(r.orphans, 300);
    assert_int_equal(r.orphan_bytes, 10 * 8 + 90 * 9 + 200 * 10);
    assert_int_equal(r.leftovers, 1);
    assert_int_equal(r.strangers, 2);
    assert_int_equal(r.problems, 301);
    assert_int_equal(r.remaining, 301);
    assert_int_equal(r.example_count, ML_CHECK_EXAMPLES);
    r = check(true, false);
    assert_int_equal(r.orphans, 300);
    assert_int_equal(r.remaining, 0);
    r = check(false, true);
    assert_int_equal(r.problems, 0);
    assert_int_equal(r.strangers, 2); /* whose they are is not known */
    assert_int_equal(count(), 1);
}

static void lost_bytes(void **state)
{
    struct ml_error err = {0};
    add("/a", "one");
    add("/b", "two");
    add("/c", "three");
    add("/d", "four");
    assert_int_equal(unlink(path_of("one")), 0);
    assert_ok(ml_file_write(path_of("two"), "tw", 2, &err), err);
    assert_ok(ml_file_write(path_of("three"), "threx", 5, &err), err);
    struct ml_workspace_check r = check(false, false);
    assert_int_equal(r.missing, 1);
    assert_int_equal(r.damaged, 1); /* by its size; the other only shows when it is read */
    assert_int_equal(r.lost_records, 2);
    r = check(false, true);
    assert_int_equal(r.missing, 1);
    assert_int_equal(r.damaged, 2);
    assert_int_equal(r.lost_records, 3);
    assert_int_equal(r.remaining, 3);
    assert_int_equal(count(), 4);
    r = check(true, true);
    assert_int_equal(r.problems, 3);
    assert_int_equal(r.remaining, 3); /* marked: nothing can bring them back but their sources */
    assert_int_equal(count(), 1);
    assert_int_equal(check(false, true).lost_records, 0);
    assert_int_equal(add("/a", "one"), ML_RECORD_PRESENT);
    assert_int_equal(add("/b", "two"), ML_RECORD_PRESENT);
    assert_int_equal(add("/c", "three"), ML_RECORD_PRESENT);
    assert_int_equal(count(), 4);
    assert_int_equal(check(false, true).problems, 0);
}

/* A pass of a source that has lost its bytes is not taken for unchanged. */
static void the_next_pass_is_a_full_one(void **state)
{
    struct ml_error err = {0};
    struct ml_source_pass pass;
    char hash[ML_HASH_HEX];
    add("/a", "one");
    assert_int_equal(unlink(path_of("one")), 0);
    check(true, false);
    assert_ok(ml_workspace_begin(ws, &err), err);
    assert_ok(ml_blobs_put(ws, "one", 3, hash, &err), err);
    assert_ok(ml_sources_begin(ws, "/a", hash, "whole", &pass, &err), err);
    assert_false(pass.unchanged);
    assert_ok(ml_workspace_end(ws, 0, &err), err);
}

static void a_lost_manifest(void **state)
{
    struct ml_error err = {0};
    struct ml_dataset d;
    struct ml_blob_view view = {0};
    const char *text;
    size_t n;
    const struct ml_record_filter all = {0};
    const struct ml_dataset_spec spec = {.name = "d", .filters = &all, .filter_count = 1};
    add("/a", "one");
    add("/b", "two");
    assert_ok(ml_datasets_create(ws, &spec, &d, NULL, &err), err);
    add("/a", "changed");
    assert_int_equal(unlink(ml_blobs_path(ws, &arena, d.hash)), 0);
    struct ml_workspace_check r = check(true, false);
    assert_int_equal(r.missing, 1);
    assert_int_equal(r.restored, 1);
    assert_int_equal(r.remaining, 0);
    assert_ok(ml_datasets_manifest(ws, &d, &view, &text, &n, &err), err);
    ml_blob_view_clear(&view);
    assert_int_equal(check(false, true).problems, 0);
}

static int64_t add_run(const char *name, const char *where)
{
    struct ml_error err = {0};
    struct ml_run_entry made, run = {.name = name, .recipe = "", .folder = where};
    assert_ok(ml_runs_add(ws, &run, &arena, &made, &err), err);
    return made.id;
}

static enum ml_run_state state_of(int64_t id)
{
    struct ml_error err = {0};
    struct ml_run_entry run;
    assert_ok(ml_runs_get(ws, id, &arena, &run, &err), err);
    return run.state;
}

/* As if the rows had been written an hour ago. */
static void age_runs(void)
{
    struct ml_db *db;
    struct ml_error err = {0};
    char *file = ml_arena_printf(&arena, "%s/maliang.db", folder);
    const char *where = options.database_url ? options.database_url : file;
    assert_ok(ml_db_open(&db, where, ML_DB_WRITE, &err), err);
    assert_ok(ml_db_exec(db, "UPDATE run SET updated = updated - 3600", &err), err);
    ml_db_close(db);
}

static void runs_that_nobody_runs(void **state)
{
    struct ml_error err = {0};
    struct ml_write_lock lock = {-1};
    bool taken = false;
    static const char *const names[] = {"killed", "alive", "again"};
    int64_t killed = add_run("killed", NULL), first = add_run("again", "runs/again"),
            alive = add_run("alive", "runs/alive"), again = add_run("again", "runs/again");
    int64_t fresh;
    for (size_t i = 0; i < 3; i++)
        assert_ok(ml_dir_make(ml_arena_printf(&arena, "%s/runs/%s", folder, names[i]), &err), err);
    char *own = ml_arena_printf(&arena, "%s/runs/%06lld-killed", folder, (long long)killed);
    assert_ok(ml_dir_make(own, &err), err);
    age_runs();
    fresh = add_run("fresh", "runs/fresh");
    char *path = ml_arena_printf(&arena, "%s/runs/alive/.lock", folder);
    assert_true(ml_write_lock_is_free(path));
    assert_ok(ml_write_lock_open(&lock, path, &err), err);
    assert_true(ml_write_lock_is_free(path));
    assert_ok(ml_write_lock_take(&lock, 0, &taken, &err), err);
    assert_false(ml_write_lock_is_free(path));
    struct ml_workspace_check r = check(false, false);
    assert_int_equal(r.stale_runs, 3);
    assert_int_equal(state_of(killed), ML_RUN_RUNNING);
    r = check(true, false);
    assert_int_equal(r.stale_runs, 3);
    assert_int_equal(r.remaining, 0);
    assert_int_equal(state_of(killed), ML_RUN_STOPPED);
    assert_int_equal(state_of(first), ML_RUN_STOPPED); /* its folder has a later run */
    assert_int_equal(state_of(again), ML_RUN_STOPPED);
    assert_int_equal(state_of(alive), ML_RUN_RUNNING);
    assert_int_equal(state_of(fresh), ML_RUN_RUNNING);
    assert_int_equal(check(false, false).stale_runs, 0);
    ml_write_lock_close(&lock);
    assert_int_equal(check(false, false).stale_runs, 1);
}

static int64_t record_count(const char *under)
{
    struct ml_error err = {0};
    const struct ml_record_filter filter = {.under = under, .with_replaced = true};
    int64_t n = -1;
    assert_ok(ml_records_count(ws, &filter, &n, NULL, &err), err);
    return n;
}

static void run_sql(const char *sql)
{
    struct ml_db *db;
    struct ml_error err = {0};
    char *file = ml_arena_printf(&arena, "%s/maliang.db", folder);
    assert_ok(
        ml_db_open(&db, options.database_url ? options.database_url : file, ML_DB_WRITE, &err),
        err);
    assert_ok(ml_db_exec(db, sql, &err), err);
    ml_db_close(db);
}

/* Killed before its dataset was made: its records and their bytes go, whatever else is named
 * stays. One that still writes is left alone. */
static void a_curation_that_was_killed(void **state)
{
    struct ml_error err = {0};
    struct ml_dataset d;
    const struct ml_record_filter done = {.under = "curate:done"};
    const struct ml_dataset_spec spec = {.name = "done", .filters = &done, .filter_count = 1};
    add("/a", "one");
    add("curate:done", "two");
    assert_ok(ml_datasets_create(ws, &spec, &d, NULL, &err), err);
    add("curate:killed", "three");
    assert_int_equal(check(true, false).problems, 0); /* it may be at work */
    assert_int_equal(record_count("curate:killed"), 1);
    run_sql("UPDATE record SET created = created - 3600");
    struct ml_workspace_check r = check(false, false);
    assert_int_equal(r.unfinished, 1);
    assert_int_equal(r.remaining, 1);
    assert_int_equal(record_count("curate:killed"), 1);
    r = check(true, true);
    assert_int_equal(r.unfinished, 1);
    assert_int_equal(r.remaining, 0);
    assert_int_equal(record_count("curate:killed"), 0);
    assert_int_equal(record_count("curate:done"), 1);
    assert_int_equal(record_count("/a"), 1);
    assert_int_equal(check(false, true).problems, 0);
}

static void a_blob_that_nothing_names(void **state)
{
    struct ml_error err = {0};
    char hash[ML_HASH_HEX];
    add("/a", "one");
    assert_ok(ml_workspace_begin(ws, &err), err);
    assert_ok(ml_blobs_put(ws, "unnamed", 7, hash, &err), err);
    assert_ok(ml_workspace_end(ws, 0, &err), err);
    struct ml_workspace_check r = check(false, false);
    assert_int_equal(r.unnamed, 1);
    assert_int_equal(r.unnamed_bytes, 7);
    assert_int_equal(r.remaining, 1);
    assert_true(ml_path_exists(path_of("unnamed")));
    r = check(true, false);
    assert_int_equal(r.unnamed, 1);
    assert_int_equal(r.remaining, 0);
    assert_false(ml_path_exists(path_of("unnamed")));
    r = check(false, true);
    assert_int_equal(r.problems, 0);
    assert_int_equal(r.blobs, 1);
}

static void a_damaged_database(void **state)
{
    struct ml_error err = {0};
    struct ml_db *db;
    if (scratch_server())
        return; /* a server has tools of its own for that */
    add("/a", "one");
    char *file = ml_arena_printf(&arena, "%s/maliang.db", folder);
    assert_ok(ml_db_open(&db, file, ML_DB_WRITE, &err), err);
    assert_ok(ml_db_exec(db, "PRAGMA foreign_keys = off; UPDATE record SET source = 99", &err),
              err);
    ml_db_close(db);
    struct ml_workspace_check r = check(true, false);
    assert_int_equal(r.database, 1);
    assert_int_equal(r.remaining, 1);
    assert_non_null(strstr(r.examples[0], "record"));
}

static int stop(void *arg, int64_t done, int64_t total)
{
    return ++*(int *)arg > 2;
}

static void stopped_and_out_of_memory(void **state)
{
    struct ml_error err = {0};
    struct ml_workspace_check r = {.blobs = -1};
    int calls = 0;
    const struct ml_check_options deep = {.deep = true, .progress = stop, .arg = &calls};
    char text[16];
    for (int i = 0; i < 5; i++) {
        snprintf(text, sizeof text, "/%d", i);
        add(text, text);
    }
    assert_fails(ml_workspace_check(ws, &deep, &r, &err), ML_ERR_CANCELLED, "stopped", err);
    assert_int_equal(r.blobs, -1);
    assert_int_equal(unlink(path_of("/1")), 0);
    struct ml_mem_stats stats;
    for (uint64_t n = 1;; n++) {
        const struct ml_check_options all = {.repair = true, .deep = true};
        err = (struct ml_error){0};
        ml_mem_fail_at(n);
        int status = ml_workspace_check(ws, &all, &r, &err);
        ml_mem_get_stats(&stats);
        ml_mem_fail_at(0);
        if (stats.allocations < n) {
            assert_ok(status, err);
            break;
        }
        if (status)
            assert_int_equal(status, ML_ERR_MEMORY);
    }
    assert_int_equal(count(), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sound_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(orphans, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lost_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_next_pass_is_a_full_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_manifest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(runs_that_nobody_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_curation_that_was_killed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_blob_that_nothing_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopped_and_out_of_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
