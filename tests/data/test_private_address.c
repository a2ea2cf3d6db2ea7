#include "scratch.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "data/private_address.h"

/* What kind of address a literal is; it must be one. */
static const char *kind_of(const char *literal)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    char text[ML_ADDRESS_TEXT];
    const struct sockaddr *address = (const struct sockaddr *)&four;
    if (inet_pton(AF_INET, literal, &four.sin_addr) != 1) {
        assert_int_equal(inet_pton(AF_INET6, literal, &six.sin6_addr), 1);
        address = (const struct sockaddr *)&six;
    }
    ml_private_address_text(address, text);
    assert_true(strlen(text) > 1);
    return ml_private_address(address);
}

static void refused(const char *literal, const char *kind)
{
    const char *found = kind_of(literal);
    if (!found || !strstr(found, kind))
        fail_msg("%s is \"%s\", not \"%s\"", literal, found ? found : "public", kind);
}

static void public(const char *literal)
{
    const char *found = kind_of(literal);
    if (found)
        fail_msg("%s is \"%s\"", literal, found);
}

static void four(void **state)
{
    refused("0.0.0.0", "this network");
    refused("0.1.2.3", "this network");
    refused("10.0.0.1", "private");
    refused("100.64.0.1", "carrier");
    refused("100.127.255.255", "carrier");
    refused("127.0.0.1", "loopback");
    refused("127.255.255.254", "loopback");
    refused("169.254.0.1", "link-local");
    refused("169.254.169.254", "metadata");
    refused("100.100.100.200", "metadata");
    refused("168.63.129.16", "metadata");
    refused("172.16.0.1", "private");
    refused("172.31.255.255", "private");
    refused("192.0.0.8", "reserved");
    refused("192.0.2.1", "documentation");
    refused("192.88.99.1", "reserved");
    refused("192.168.255.1", "private");
    refused("198.18.0.1", "private");
    refused("198.19.255.255", "private");
    refused("198.51.100.7", "documentation");
    refused("203.0.113.7", "documentation");
    refused("224.0.0.1", "multicast");
    refused("239.255.255.255", "multicast");
    refused("240.0.0.1", "reserved");
    refused("255.255.255.255", "reserved");
    public("1.1.1.1");
    public("9.255.255.255");
    public("11.0.0.0");
    public("100.63.255.255");
    public("100.128.0.0");
    public("126.255.255.255");
    public("128.0.0.0");
    public("172.15.255.255");
    public("172.32.0.0");
    public("192.167.255.255");
    public("198.17.255.255");
    public("198.20.0.0");
    public("223.255.255.255");
}

static void six(void **state)
{
    refused("::", "this network");
    refused("::1", "loopback");
    refused("fe80::1", "link-local");
    refused("febf::1", "link-local");
    refused("fec0::1", "private");
    refused("fc00::1", "private");
    refused("fdff:ffff::1", "private");
    refused("fd00:ec2::254", "metadata");
    refused("ff02::1", "multicast");
    refused("2001:db8::1", "documentation");
    refused("3fff::1", "documentation");
    refused("100::1", "reserved");
    refused("2001:20::1", "reserved");
    refused("4000::1", "reserved");
    refused("1::1", "reserved");
    public("2606:4700:4700::1111");
    public("2400:3200::1");
    public("2a00:1450:4001::");
}

static void carried(void **state)
{
    refused("::ffff:127.0.0.1", "loopback");
    refused("::ffff:10.1.2.3", "private");
    refused("::ffff:169.254.169.254", "metadata");
    refused("::ffff:0:192.168.1.1", "private");
    refused("::127.0.0.1", "loopback");
    refused("64:ff9b::10.0.0.1", "private");
    refused("64:ff9b:1::1.1.1.1", "private");
    refused("2002:7f00:1::", "loopback");
    refused("2002:c0a8:101::1", "private");
    refused("2001:0:7f00:1::1", "loopback");          /* Teredo's server */
    refused("2001:0:101:101::80ff:fffe", "loopback"); /* Teredo's client: 127.0.0.1 turned over */
    refused("2606:4700::5efe:10.0.0.1", "private");   /* ISATAP */
    refused("2606:4700::200:5efe:127.0.0.1", "loopback");
    public("::ffff:1.1.1.1");
    public("64:ff9b::1.1.1.1");
    public("2002:101:101::1");
    public("2001:0:101:101::fefe:fefe");
    public("2606:4700::5efe:1.1.1.1");
}

static void literals(void **state)
{
    assert_non_null(ml_private_address_literal("127.0.0.1"));
    assert_non_null(ml_private_address_literal("127.1"));
    assert_non_null(ml_private_address_literal("2130706433"));
    assert_non_null(ml_private_address_literal("0x7f000001"));
    assert_non_null(ml_private_address_literal("0177.0.0.1"));
    assert_non_null(ml_private_address_literal("::1"));
    assert_null(ml_private_address_literal("1.1.1.1"));
    assert_null(ml_private_address_literal("example.org"));
    assert_null(ml_private_address_literal(""));
}

static void others(void **state)
{
    struct sockaddr_storage local = {.ss_family = AF_UNIX};
    char text[ML_ADDRESS_TEXT];
    assert_non_null(ml_private_address((const struct sockaddr *)&local));
    ml_private_address_text((const struct sockaddr *)&local, text);
    assert_string_equal(text, "an unknown address");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four),     cmocka_unit_test(six),    cmocka_unit_test(carried),
        cmocka_unit_test(literals), cmocka_unit_test(others),
    };
    return cmocka_run_group_tests_name("private_address", tests, NULL, NULL);
}
