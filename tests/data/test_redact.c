/* What is found and what is not (data/redact.h), and what is put in its place. */
#include <string.h>

#include "data/redact.h"
#include "data_check.h"

static void expect(const char *text, enum ml_pii kind, const char *what)
{
    struct ml_pii_spans spans = {0};
    assert_int_equal(ml_redact_find(&spans, text, strlen(text), ML_PII_ALL, NULL), 0);
    if (spans.count != 1)
        fail_msg("%zu spans in: %s", spans.count, text);
    assert_string_equal(ml_pii_name(spans.spans[0].kind), ml_pii_name(kind));
    assert_int_equal(spans.spans[0].bytes, strlen(what));
    assert_memory_equal(text + spans.spans[0].start, what, strlen(what));
    ml_pii_spans_clear(&spans);
}

static void expect_none(const char *text)
{
    struct ml_pii_spans spans = {0};
    assert_int_equal(ml_redact_find(&spans, text, strlen(text), ML_PII_ALL, NULL), 0);
    if (spans.count)
        fail_msg("%s in: %s", ml_pii_name(spans.spans[0].kind), text);
    ml_pii_spans_clear(&spans);
}

static void test_found(void **state)
{
    expect("write to ma.liang+art@brush.com.cn today", ML_PII_EMAIL, "ma.liang+art@brush.com.cn");
    expect("邮箱：liang@example.org。", ML_PII_EMAIL, "liang@example.org");
    expect("电话13812345678。", ML_PII_PHONE, "13812345678");
    expect("call +49 30 901820 now", ML_PII_PHONE, "+49 30 901820");
    expect("(415) 555-2671", ML_PII_PHONE, "(415) 555-2671");
    expect("传真 010-62345678", ML_PII_PHONE, "010-62345678");
    expect("from 203.0.113.77:", ML_PII_IP, "203.0.113.77");
    expect("host 2001:db8::8a2e:370:7334 down", ML_PII_IP, "2001:db8::8a2e:370:7334");
    expect("IBAN DE89 3704 0044 0532 0130 00.", ML_PII_IBAN, "DE89 3704 0044 0532 0130 00");
    expect("IBAN GB82WEST12345698765432 BANK", ML_PII_IBAN, "GB82WEST12345698765432");
    expect("4111 1111 1111 1111", ML_PII_CARD, "4111 1111 1111 1111");
    expect("身份证11010519491231002X号", ML_PII_CN_ID, "11010519491231002X");
    expect("代码 91350100M000100Y43", ML_PII_CN_CREDIT, "91350100M000100Y43");
    expect("key AKIAIOSFODNN7EXAMPLE", ML_PII_SECRET, "AKIAIOSFODNN7EXAMPLE");
    expect("password: \"hunter2!\"", ML_PII_SECRET, "hunter2!");
    expect("密码：abc12345", ML_PII_SECRET, "abc12345");
    expect("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", ML_PII_SECRET,
           "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----");
}

static void test_not_found(void **state)
{
    static const char *const plain[] = {"order 4111 1111 1111 1112",
                                        "11010519491231002Y",
                                        "version 10.2.33.4 of it",
                                        "section 3.2.2.5",
                                        "2019-2020, 1.234.567",
                                        "at 12:30:45 :: done",
                                        "GB82WEST12345698765431",
                                        "password: required",
                                        "the secret of success",
                                        "a@b",
                                        "@home alone",
                                        "C:: and std::vector<int>",
                                        "ISBN 978-3-16-148410-0",
                                        "127.0.0.1 and 0.0.0.0",
                                        "1234567890123456789012",
                                        "sk-learn is a library of it",
                                        "10,000 years; pi 3.14159265358979",
                                        "91350100M000100Y44"};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        expect_none(plain[i]);
}

static void redacted(const char *text, enum ml_redact_mode mode, struct ml_buffer *out)
{
    static const uint8_t key[32] = {1, 2, 3};
    struct ml_pii_spans spans = {0};
    out->size = 0;
    assert_int_equal(ml_redact_find(&spans, text, strlen(text), ML_PII_ALL, NULL), 0);
    assert_int_equal(ml_redact_apply(out, text, strlen(text), &spans, mode, key, NULL), 0);
    ml_pii_spans_clear(&spans);
}

static void test_replaced(void **state)
{
    const char *text = "a@b.org, 203.0.113.77 and a@b.org";
    struct ml_buffer out = {0};
    redacted(text, ML_REDACT_REPLACE, &out);
    assert_string_equal(out.data, "[EMAIL], [IP] and [EMAIL]");
    redacted(text, ML_REDACT_MASK, &out);
    assert_string_equal(out.data, "*@*.***, ***.*.***.** and *@*.***");
    redacted(text, ML_REDACT_HASH, &out);
    assert_int_equal(out.size, strlen("[EMAIL:123456789012], [IP:123456789012] and "
                                      "[EMAIL:123456789012]"));
    assert_memory_equal(out.data, out.data + out.size - 20,
                        20); /* the same person, the same mark */
    ml_buffer_clear(&out);
}

static void test_kinds(void **state)
{
    struct ml_pii_spans spans = {0};
    const char *text = "a@b.org 203.0.113.77";
    assert_int_equal(ml_redact_find(&spans, text, strlen(text), 1u << ML_PII_IP, NULL), 0);
    assert_int_equal(spans.count, 1);
    assert_int_equal(spans.spans[0].kind, ML_PII_IP);
    ml_pii_spans_clear(&spans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found), cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_replaced), cmocka_unit_test(test_kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
