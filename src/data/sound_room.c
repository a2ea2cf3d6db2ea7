/* Rooms shaped like boxes: a reflection is a source behind the wall (data/augment_sound.h). */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "data/augment_sound.h"

#define SPEED_OF_SOUND 343.0 /* metres a second, at 20 degrees */

struct ml_room ml_room_draw(struct ml_rng *rng)
{
    static const double low[3] = {3, 3, 2.5}, high[3] = {10, 10, 4};
    struct ml_room room;
    for (int i = 0; i < 3; i++) {
        room.size[i] = low[i] + (high[i] - low[i]) * ml_rng_double(rng);
        room.source[i] = room.size[i] * (0.1 + 0.8 * ml_rng_double(rng));
        room.listener[i] = room.size[i] * (0.1 + 0.8 * ml_rng_double(rng));
    }
    room.reflect = 0.3 + 0.6 * ml_rng_double(rng);
    return room;
}

static int check_room(const struct ml_room *room, int rate, struct ml_error *err)
{
    bool good = rate > 0 && room->reflect >= 0 && room->reflect < 1;
    for (int i = 0; i < 3; i++)
        good = good && room->size[i] >= 0.1 && room->size[i] <= 1000 && room->source[i] >= 0 &&
               room->source[i] <= room->size[i] && room->listener[i] >= 0 &&
               room->listener[i] <= room->size[i];
    return good ? 0
                : ml_fail(err, ML_ERR_ARG,
                          "a room has sides of 0.1 to 1,000 m, source and listener within it, and "
                          "walls that reflect at least 0 and less than 1");
}

/* Where the source is seen along one side: image 2 m L + s, or 2 m L - s behind |2 m| or |2 m - 1|
 * walls. */
struct image {
    double distance;
    int walls;
};

static struct image image_of(const struct ml_room *room, int side, int number)
{
    int m = number >= 0 ? number / 2 : -((1 - number) / 2);
    bool mirrored = number - 2 * m != 0;
    double at = mirrored ? 2 * (m + 1) * room->size[side] - room->source[side]
                         : 2 * m * room->size[side] + room->source[side];
    return (struct image){at - room->listener[side], number >= 0 ? number : -number};
}

/* Between two samples it is shared between them. */
static void put(float *out, size_t n, double at, double amplitude)
{
    size_t first = (size_t)at;
    double part = at - (double)first;
    if (first < n)
        out[first] += (float)(amplitude * (1 - part));
    if (first + 1 < n)
        out[first + 1] += (float)(amplitude * part);
}

int ml_room_response(float *out, size_t n, const struct ml_room *room, int rate,
                     struct ml_error *err)
{
    int status = check_room(room, rate, err), most[3];
    double direct = 0, reach;
    if (status)
        return status;
    memset(out, 0, n * sizeof *out);
    for (int i = 0; i < 3; i++)
        direct += pow(room->source[i] - room->listener[i], 2);
    direct = fmax(sqrt(direct), 0.1); /* at the ear it would be infinitely loud */
    reach = direct + (double)n / rate * SPEED_OF_SOUND;
    for (int i = 0; i < 3; i++)
        most[i] = (int)(reach / room->size[i]) + 1;
    for (int x = -most[0]; x <= most[0]; x++)
        for (int y = -most[1]; y <= most[1]; y++)
            for (int z = -most[2]; z <= most[2]; z++) {
                struct image a = image_of(room, 0, x), b = image_of(room, 1, y),
                             c = image_of(room, 2, z);
                double d = fmax(sqrt(a.distance * a.distance + b.distance * b.distance +
                                     c.distance * c.distance),
                                direct);
                double gain = pow(room->reflect, a.walls + b.walls + c.walls) * direct / d;
                if (d < reach && gain > 1e-6)
                    put(out, n, (d - direct) / SPEED_OF_SOUND * rate, gain);
            }
    return 0;
}
