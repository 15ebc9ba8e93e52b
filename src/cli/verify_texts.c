/* cli/verify_texts.c - what berth verify asks when it is given no texts: short
 * and long, many scripts, what tokenizers trip over. "{mask}" is where a
 * fill-mask model finds its mask. */
#include "cli/verify_texts.h"
#include <stddef.h>

const char *const verify_texts[] = {
    "{mask}.",
    "A man is eating {mask}.",
    "The capital of France is {mask}.",
    "She opened the {mask} and looked outside.",
    "It is 12:30, and the train to {mask} leaves in five minutes!",
    "Die Würde des Menschen ist {mask}.",
    "Le {mask} était fermé hier soir, malheureusement.",
    "El perro corre por el {mask}.",
    "東京は日本の{mask}です。",
    "Москва - столица {mask}.",
    "الماء ضروري {mask}.",
    "दिल्ली भारत की {mask} है।",
    "naïve café, coöperate, façade, jalapeño and {mask}",
    "e-mail: someone@example.org, https://example.org/a?b=c#d {mask}",
    "def add(a, b):\n    return a + {mask}\n",
    "   spaces   before,   between   and after {mask}   ",
    "UPPER CASE, lower case, MiXeD cAsE {mask}",
    "emoji \xf0\x9f\x98\x80 and \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80 "
    "together with {mask}",
    "3.14159 is less than 22/7 but more than {mask}",
    "Supercalifragilisticexpialidocious and antidisestablishmentarianism are "
    "long words, but {mask} is short.",
    "The quick brown fox jumps over the lazy dog while the five boxing wizards "
    "jump quickly; pack my box with five dozen liquor jugs, and {mask}.",
    "Photosynthesis turns light into chemical energy. Plants take in carbon "
    "dioxide and water, and with the energy of sunlight make sugar and oxygen. "
    "Most of the oxygen in the air was made in this way, over billions of "
    "years, by organisms too small to be seen. Without {mask}, none of it "
    "would "
    "have happened.",
    NULL,
};
