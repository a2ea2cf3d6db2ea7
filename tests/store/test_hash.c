#include "scratch.h"

#include "store/hash.h"

/* FIPS 180-4 examples. */
static void known_values(void **state)
{
    char hex[ML_HASH_HEX];
    ml_hash_text("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ml_hash_text(NULL, 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ml_hash_text("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    ml_hash_text(two_blocks, sizeof two_blocks - 1, hex);
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void pieces_equal_the_whole(void **state)
{
    char bytes[300];
    uint8_t whole[ML_HASH_BYTES], pieces[ML_HASH_BYTES];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7);
    ml_hash(bytes, sizeof bytes, whole);
    for (size_t cut = 0; cut <= sizeof bytes; cut += 13) {
        struct ml_hasher hasher;
        ml_hasher_init(&hasher);
        ml_hasher_put(&hasher, bytes, cut);
        ml_hasher_put(&hasher, NULL, 0);
        ml_hasher_put(&hasher, bytes + cut, sizeof bytes - cut);
        ml_hasher_finish(&hasher, pieces);
        assert_memory_equal(whole, pieces, sizeof whole);
    }
}

static void spelling(void **state)
{
    uint8_t hash[ML_HASH_BYTES], back[ML_HASH_BYTES];
    char hex[ML_HASH_HEX];
    ml_hash("x", 1, hash);
    ml_hash_hex(hash, hex);
    assert_true(ml_hash_parse(back, hex));
    assert_memory_equal(hash, back, sizeof hash);
    memset(back, 7, sizeof back);
    hex[10] = 'A';
    assert_false(ml_hash_parse(back, hex));
    hex[10] = '\0';
    assert_false(ml_hash_parse(back, hex));
    assert_false(ml_hash_parse(back, ""));
    assert_int_equal(back[0], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(pieces_equal_the_whole),
        cmocka_unit_test(spelling),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
