/* An endless row of encounters that wait for the player. Three of ours meet ever new creatures, each of one of three
   kinds: sun scorches seed, seed drinks rain, rain drowns sun. Battles are won when all of theirs are down; in catching
   the one that comes must be netted before it falls, the easier the weaker it is. What was not won comes again.
   The game answers a button some frames after it sees it, and shows nothing of what is pressed meanwhile. */
#include "console.h"

enum { BATTLES, CATCHING };
enum { BUSY, MENU, STRIKES, MESSAGE };       /* what the game waits for */
enum { SUN, RAIN, SEED, WILD };
enum { TEAM = 3, OWN_HP = 34, MENDS = 2, NETS = 4, MENDED = 22, HARDEST = 24 };
enum { MOVE_LAG = 8, CHOICE_LAG = 12, MESSAGE_LAG = 10, BACK = 4, BAR = 64 };
enum { BAR_0 = 1, CURSOR = 10, PALE, SOLID, DOT, MORE, EMBLEM = 96, FOE_PICTURE = 128, OWN_PICTURE = 144 };

typedef struct {
    uint8_t kind, hp, full, shown;           /* shown: pixels of the bar */
} Creature;

volatile uint8_t __at(0xC010) mode;          /* set from outside before a game starts */
volatile uint8_t __at(0xC011) waits;         /* BUSY, MENU, STRIKES, MESSAGE */
volatile uint16_t __at(0xC012) encounter;    /* counted from 0; the first may be set from outside */
volatile uint16_t __at(0xC014) won;
volatile uint16_t __at(0xC016) lost;
volatile uint16_t __at(0xC018) caught;
volatile uint16_t __at(0xC01A) escaped;      /* encounters of catching that ended without */
volatile uint16_t __at(0xC01C) own_falls;
volatile uint16_t __at(0xC01E) foe_falls;
volatile uint8_t __at(0xC020) own;           /* which of ours acts */
volatile uint8_t __at(0xC021) foes;          /* theirs that are left, with the one that acts */
volatile uint8_t __at(0xC022) mends;
volatile uint8_t __at(0xC023) nets;
Creature __at(0xC024) team[TEAM];
Creature __at(0xC030) foe;

static uint8_t foe_number;

static const uint8_t shades[5][2][8] = {
    {{0x80, 0xC0, 0xF0, 0xFC, 0xFC, 0xF0, 0xC0, 0x80}, {0x80, 0xC0, 0xF0, 0xFC, 0xFC, 0xF0, 0xC0, 0x80}},
    {{255, 255, 255, 255, 255, 255, 255, 255}, {0, 0, 0, 0, 0, 0, 0, 0}},
    {{255, 255, 255, 255, 255, 255, 255, 255}, {255, 255, 255, 255, 255, 255, 255, 255}},
    {{0x00, 0x3C, 0x7E, 0x7E, 0x7E, 0x7E, 0x3C, 0x00}, {0x00, 0x3C, 0x7E, 0x7E, 0x7E, 0x7E, 0x3C, 0x00}},
    {{0x00, 0xFF, 0x7E, 0x7E, 0x3C, 0x3C, 0x18, 0x00}, {0x00, 0xFF, 0x7E, 0x7E, 0x3C, 0x3C, 0x18, 0x00}},
};
/* Sixteen rows of the left half; the right half is its mirror image. */
static const uint8_t emblems[3][16] = {
    {0x01, 0x21, 0x11, 0x07, 0x0F, 0x1F, 0x1F, 0xDF, 0xDF, 0x1F, 0x1F, 0x0F, 0x07, 0x11, 0x21, 0x01},
    {0x01, 0x01, 0x03, 0x03, 0x07, 0x07, 0x0F, 0x1F, 0x1F, 0x3F, 0x3F, 0x3F, 0x3F, 0x1F, 0x0F, 0x03},
    {0x07, 0x1F, 0x3F, 0x3F, 0x7F, 0x7F, 0x7F, 0x7F, 0x3F, 0x3F, 0x1F, 0x0F, 0x07, 0x03, 0x01, 0x01},
};
static const char *const menu_words[4] = {"STRIKE", "MEND", "NET", "SWAP"};
static const char *const strike_words[4] = {"SUN", "RAIN", "SEED", "WILD"};

static uint8_t mirrored(uint8_t bits) {
    uint8_t i, out = 0;
    for (i = 0; i < 8; i++) {
        out = (uint8_t)(out << 1) | (bits & 1);
        bits >>= 1;
    }
    return out;
}

static uint8_t doubled(uint8_t nibble) {
    uint8_t i, out = 0;
    for (i = 0; i < 4; i++) {
        out = (uint8_t)(out << 2) | (nibble & 8 ? 3 : 0);
        nibble <<= 1;
    }
    return out;
}

/* SUN is black, RAIN light, SEED dark. */
static void shade(uint16_t address, uint8_t bits, uint8_t kind) {
    put(address, kind == SEED ? 0 : bits);
    put(address + 1, kind == RAIN ? 0 : bits);
}

static void make_emblems(void) {
    uint8_t kind, i;
    for (kind = 0; kind < 3; kind++)
        for (i = 0; i < 16; i++) {
            uint16_t data = 0x8000 + (uint16_t)(EMBLEM + 4 * kind + (i >> 3) * 2) * 16 + (i & 7) * 2;
            shade(data, emblems[kind][i], kind);
            shade(data + 16, mirrored(emblems[kind][i]), kind);
        }
}

/* A creature of 16 by 16 squares, drawn by chance, alike left and right. */
static void make_picture(uint8_t tile, uint8_t kind) {
    uint8_t y, c, half, bits[2];
    for (y = 0; y < 16; y++) {
        half = chance();
        half |= y > 3 && y < 12 ? chance() & 0x3F : 0;
        half &= y < 2 || y > 13 ? 0x0F & chance() : 0x7F;
        half |= y > 2 && y < 14 ? 0x03 : 0;
        bits[0] = half;
        bits[1] = mirrored(half);
        for (c = 0; c < 4; c++) {
            uint8_t byte = doubled(c & 1 ? bits[c >> 1] & 15 : bits[c >> 1] >> 4);
            uint16_t data = 0x8000 + (uint16_t)(tile + (y >> 2) * 4 + c) * 16 + (y & 3) * 4;
            shade(data, byte, kind);
            shade(data + 2, byte, kind);
        }
    }
}

static void show_square(uint8_t column, uint8_t row, uint8_t tile, uint8_t side) {
    uint8_t x, y;
    for (y = 0; y < side; y++)
        for (x = 0; x < side; x++) put(AT(column + x, row + y), tile++);
}

static void show_bar(uint8_t column, uint8_t row, uint8_t pixels) {
    uint8_t i;
    for (i = 0; i < 8; i++) {
        put(AT(column + i, row), BAR_0 + (pixels > 8 ? 8 : pixels));
        pixels = pixels > 8 ? pixels - 8 : 0;
    }
}

static void show_dots(uint8_t column, uint8_t row, uint8_t count, uint8_t most) {
    uint8_t i;
    for (i = 0; i < most; i++) put(AT(column + i, row), i < count ? DOT : BLANK);
}

static uint8_t standing(void) {
    uint8_t i, count = 0;
    for (i = 0; i < TEAM; i++) count += team[i].hp != 0;
    return count;
}

static void show_counts(void) {
    show_dots(4, 2, foes, 3);
    show_dots(8, 8, standing(), TEAM);
    show_dots(8, 10, mends, MENDS);
    show_dots(12, 10, nets, NETS);
}

static uint8_t pixels_of(const Creature *one) {
    uint8_t pixels = (uint8_t)((uint16_t)one->hp * BAR / one->full);
    return one->hp && !pixels ? 1 : pixels;
}

/* The bars move a pixel a frame to where they belong. */
static void settle(void) {
    Creature *mine = team + own;
    uint8_t mine_to = pixels_of(mine), foe_to = pixels_of(&foe);
    while (mine->shown != mine_to || foe.shown != foe_to) {
        if (mine->shown != mine_to) mine->shown += mine->shown < mine_to ? 1 : 255;
        if (foe.shown != foe_to) foe.shown += foe.shown < foe_to ? 1 : 255;
        show_bar(8, 9, mine->shown);
        show_bar(4, 3, foe.shown);
        next_frame();
    }
}

static void clear_box(uint8_t line) {
    uint8_t x, y;
    for (y = 13; y < 18; y++) {
        for (x = 0; x < 20; x++) put(AT(x, y), BLANK);
        if (y & 1) next_frame();
    }
    for (x = 0; x < 20; x++) put(AT(x, 12), line);
}

/* A message stays until A or B. */
static void say(const char *text) {
    clear_box(BLANK);
    write_text(1, 14, text);
    rest(MESSAGE_LAG);
    put(AT(18, 16), MORE);
    waits = MESSAGE;
    do next_frame(); while (!(held & (A | B)));
    waits = BUSY;
    rest(MOVE_LAG);
}

static void show_cursor(uint8_t at, uint8_t tile) {
    put(AT(at & 1 ? 10 : 1, at & 2 ? 16 : 14), tile);
}

/* One of four words, or BACK. */
static uint8_t choose(uint8_t what) {
    const char *const *words = what == MENU ? menu_words : strike_words;
    uint8_t at = 0, to, i;
    clear_box(what == MENU ? PALE : SOLID);
    for (i = 0; i < 4; i++) write_text(i & 1 ? 11 : 2, i & 2 ? 16 : 14, words[i]);
    show_cursor(at, CURSOR);
    rest(MOVE_LAG);
    waits = what;
    for (;;) {
        next_frame();
        to = at;
        if (held & LEFT) to &= 2;
        if (held & RIGHT) to |= 1;
        if (held & UP) to &= 1;
        if (held & DOWN) to |= 2;
        if (to != at) {
            rest(MOVE_LAG);
            show_cursor(at, BLANK);
            show_cursor(to, CURSOR);
            at = to;
        } else if (held & (A | B)) {
            to = held & A ? at : BACK;
            waits = BUSY;
            rest(CHOICE_LAG);
            return to;
        }
    }
}

/* What a strike of one kind does to another: 0 little, 1 as usual, 2 much. */
static uint8_t against(uint8_t strike, uint8_t kind) {
    if (strike == kind) return 1;
    return kind == (strike == SUN ? SEED : strike - 1) ? 2 : 0;
}

static void hurt(Creature *one, uint8_t damage) {
    one->hp = damage < one->hp ? one->hp - damage : 0;
    settle();
}

static void strike(uint8_t kind) {
    static const uint8_t strength[3] = {3, 8, 15};
    static const char *const words[3] = {"LITTLE HARM", "A HIT", "MUCH HARM"};
    uint8_t effect;
    if (kind == WILD) {
        if (chance() & 1) {
            say("IT WENT ASTRAY");
            return;
        }
        hurt(&foe, 14 + below(4));
        say("A WILD HIT");
        return;
    }
    effect = against(kind, foe.kind);
    hurt(&foe, strength[effect] + below(4));
    say(words[effect]);
}

static void foe_strikes(void) {
    Creature *mine = team + own;
    uint8_t damage = (mode == BATTLES ? 9 : 5) + (encounter > HARDEST ? HARDEST : (uint8_t)encounter) / 12 + below(4);
    if (mode == BATTLES) damage += against(foe.kind, mine->kind) * 2;
    hurt(mine, damage);
    say("THEY STRIKE BACK");
}

/* The chance of a net out of 256 rises with the square of what is missing. */
static uint8_t netted(void) {
    uint8_t missing = BAR - foe.shown;
    nets--;
    show_counts();
    if (mode == BATTLES) {
        say("THAT ONE IS NOT FREE");
        return 0;
    }
    if (chance() < 8 + (uint8_t)(((uint16_t)missing * missing) / 20)) return 1;
    say("IT SLIPPED OUT");
    return 0;
}

static void show_own(void) {
    uint32_t kept = chance_state;
    uint8_t i;
    chance_state = 77 + own;
    for (i = 0; i < 8; i++) chance();
    make_picture(OWN_PICTURE, team[own].kind);
    chance_state = kept;
    show_square(16, 8, EMBLEM + 4 * team[own].kind, 2);
    show_bar(8, 9, team[own].shown);
    show_counts();
}

static void swap(void) {
    uint8_t i;
    for (i = 0; i < TEAM; i++) {
        own = own + 1 == TEAM ? 0 : own + 1;
        if (team[own].hp) break;
    }
    show_own();
}

/* The next of theirs: who it is depends on the seed, the encounter and its place, and on nothing that was done. */
static void meet(void) {
    uint32_t kept = chance_state;
    uint8_t i;
    chance_state = seed ^ ((uint32_t)(encounter + 1) * 0x9E3779B1) ^ ((uint32_t)(foe_number + 1) << 28);
    if (!chance_state) chance_state = 1;
    for (i = 0; i < 12; i++) chance();
    foe.kind = below(3);
    foe.full = 28 + (encounter > HARDEST ? HARDEST : (uint8_t)encounter) / 2 + below(8);
    make_picture(FOE_PICTURE, foe.kind);
    chance_state = kept;
    foe.hp = foe.full;
    foe.shown = BAR;
    show_square(14, 1, FOE_PICTURE, 4);
    show_square(1, 2, EMBLEM + 4 * foe.kind, 2);
    show_bar(4, 3, BAR);
    show_counts();
}

static void prepare(void) {
    uint8_t i;
    clear_screen();
    write_text(1, 0, "NO");
    write_number(4, 0, encounter, 5);
    write_text(11, 0, mode == BATTLES ? "WON" : "GOT");
    write_number(15, 0, mode == BATTLES ? won : caught, 5);
    show_square(2, 7, OWN_PICTURE, 4);
    for (i = 0; i < TEAM; i++) {
        team[i].kind = i;
        team[i].hp = team[i].full = OWN_HP;
        team[i].shown = BAR;
    }
    own = 0;
    foe_number = 0;
    foes = mode == BATTLES ? 1 + (uint8_t)(encounter % 3) : 1;
    mends = MENDS;
    nets = NETS;
    show_own();
    meet();
    say(mode == BATTLES ? "A CHALLENGE" : "SOMETHING IS NEAR");
}

/* Our turn; 1 if it caught the foe, 2 if nothing was done. */
static uint8_t our_turn(void) {
    uint8_t which, kind;
    which = choose(MENU);
    if (which == BACK) return 2;
    if (which == 0) {
        kind = choose(STRIKES);
        if (kind == BACK) return 2;
        strike(kind);
    } else if (which == 1) {
        if (!mends) return 2;
        mends--;
        show_counts();
        team[own].hp = team[own].hp + MENDED > OWN_HP ? OWN_HP : team[own].hp + MENDED;
        settle();
        say("BETTER NOW");
    } else if (which == 2) {
        if (!nets) return 2;
        return netted();
    } else {
        if (standing() < 2) return 2;
        swap();
    }
    return 0;
}

/* A battle: 1 if all of theirs are down, 0 if all of ours. A catch: 1 if it is ours, 0 if not. */
static uint8_t meeting(void) {
    uint8_t turn;
    for (;;) {
        turn = our_turn();
        if (turn == 2) continue;
        if (turn == 1) return 1;
        if (!foe.hp) {
            foe_falls++;
            if (mode == CATCHING) return 0;
            foes--;
            foe_number++;
            show_counts();
            say("IT IS DOWN");
            if (!foes) return 1;
            meet();
            continue;
        }
        if (mode == CATCHING && !nets) return 0;
        foe_strikes();
        if (!team[own].hp) {
            own_falls++;
            show_counts();
            say("OURS IS DOWN");
            if (!standing()) return 0;
            swap();
        }
    }
}

static void play(void) {
    uint8_t done;
    won = lost = caught = escaped = own_falls = foe_falls = 0;
    state = PLAYING;
    for (;;) {
        prepare();
        done = meeting();
        if (mode == BATTLES) {
            if (done) won++; else lost++;
        } else {
            if (done) caught++; else escaped++;
        }
        encounter += done;
        say(done ? (mode == BATTLES ? "WON" : "GOT IT") : "ONCE MORE");
    }
}

static void title(void) {
    clear_screen();
    show_square(3, 8, EMBLEM, 2);
    show_square(9, 8, EMBLEM + 4, 2);
    show_square(15, 8, EMBLEM + 8, 2);
    write_text(5, 4, "ENCOUNTERS");
    write_text(4, 13, "PRESS START");
    screen_on();
    await_start();
}

void main(void) {
    uint8_t i, j, rows[8], pale[8];
    load_tiles();
    for (i = 0; i < 9; i++) {                /* a bar's tile: black as far as it is full, the rest pale */
        for (j = 0; j < 8; j++) {
            rows[j] = j < 2 || j > 5 ? 0 : (uint8_t)(0xFF00 >> i);
            pale[j] = j < 2 || j > 5 ? 0 : 0xFF;
        }
        load_tile(BAR_0 + i, pale, rows);
    }
    for (i = 0; i < 5; i++) load_tile(CURSOR + i, shades[i][0], shades[i][1]);
    make_emblems();
    title();
    play();
}
