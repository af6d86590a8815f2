"""Makes the lists of ordinary words and of names that masking weighs: ../src/masking/ordinary/.

    python ordinary.py dict.txt scowl/ names/

`dict.txt` is the dictionary of jieba (MIT), `scowl/` the folder of SCOWL's lists (Debian's package scowl, /usr/share/dict/scowl),
`names/` holds the lists of the census of the United States of 1990 (dist.all.last, dist.female.first, dist.male.first).
"""

import collections
import math
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
OUT = HERE / "../src/masking/ordinary"
MASKING = (HERE / "../../config/compliance/masking.zh.toml").read_text(encoding="utf-8")

# Characters of given names today: the names of the dictionary are those of books and of history.
TODAY = (
    "芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂玉萍红建国华文志海永春梅雪琴云飞鹏辉斌波宁宇浩然轩子涵梓欣怡雨佳嘉俊豪博思琪婷雯倩颖慧莉燕丹晶"
    "晨阳晓东峰龙林山川江伟秀英萱诗语若彤沐宸泽睿一诺可馨昕妍琳璐瑶瑞祥庆凯鑫森柏楠桦晖旭昊天佑依凡悦欢欣然月星辰悠羽翔航帆舟远达逸卓恒毅诚信"
    "义仁德贤淑贞惠珍珠凤莲荷菊香翠巧小大少中正世成立新民生福贵荣昌盛兴旺发财金银宝山河望舒清扬知夏书画琴音雅韵安逸明亮长远思念若初云朵春秋冬夏"
    "雷电雨雪露霜歌舞星空乐章连城锦绣如意平安健康"
)
# Characters with which names of Uyghurs, Tibetans and Mongols are written: dictionaries have few of those names.
BY_SOUND = (
    "古丽热娜阿依买提江克孜拜迪次仁卓玛扎西多吉旺姆索朗达瓦尼玛格桑平措央金德吉巴特尔其格乌兰图雅娜仁花苏日力木努哈萨尔别汗拉提亚森玉素甫帕尔"
    "合提吐艾合麦"
)
FROM_JIEBA = "# {} Counted or chosen from the dictionary of jieba\n# (MIT licence, © 2013 Sun Junyi) by nlu/train/ordinary.py.\n"
FROM_SCOWL = (
    "# {} Chosen from SCOWL (© 2000-2011 Kevin Atkinson), by nlu/train/ordinary.py: \"Permission to use, copy, modify,\n"
    "# distribute and sell these word lists, the associated scripts, the output created from the scripts, and its documentation for\n"
    "# any purpose is hereby granted without fee, provided that the above copyright notice appears in all copies and that both that\n"
    "# copyright notice and this permission notice appear in supporting documentation. Kevin Atkinson makes no representations about\n"
    "# the suitability of this array for any purpose. It is provided \"as is\" without express or implied warranty.\"\n"
)
FROM_CENSUS = "# {} Of the census of the United States of 1990, a work of its government without copyright.\n"


def listed(name, quotes):
    return re.search(rf"{name} = {quotes}(.*?){quotes}", MASKING, re.S).group(1).replace("\n", "")


def write_bits(name, head, classes):
    lines = "".join(f"{bits} {''.join(sorted(classes[bits]))}\n" for bits in sorted(classes))
    (OUT / name).write_text(head + lines, encoding="utf-8")


def folded(head, words, begins=""):
    lines, line = [], begins
    for word in sorted(words):
        if len(line) + len(word) + 1 > 400:
            lines.append(line)
            line = begins
        line += (" " if line else "") + word
    return head + "".join(line + "\n" for line in [*lines, line])


def by_bits(counts, least):
    total = sum(counts.values())
    classes = collections.defaultdict(list)
    for character, count in counts.items():
        if count >= least:
            classes[round(-math.log2(count / total))].append(character)
    return classes


def mandarin(path):
    surnames, given_listed = set(listed("surnames", '"""')), listed("given_characters", '"""')
    words = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, count, *kind = line.split()
        if re.fullmatch("[\u4e00-\u9fff]+", word):
            words[word] = (int(count), kind[0] if kind else "")
    given, first, by_sound = collections.Counter(), collections.Counter(), collections.Counter()
    for word, (count, kind) in words.items():
        is_name = kind in ("nr", "nrfg") and len(word) == 3 and word[0] in surnames
        is_title = word[1:] in ("先生", "女士", "小姐", "太太", "大人", "师傅")
        if is_name and not is_title and word[2] not in "氏县市镇乡村州山河区寺庙队人的庄者长说":
            weight = 1 + min(count, 20) / 10
            given[word[1]] += weight
            given[word[2]] += weight
            first[word[0]] += 1
        if kind == "nrt" and len(word) > 1:
            by_sound.update(word)
    for character in BY_SOUND:
        by_sound[character] += 6
    total = sum(given.values())
    for characters, bits in ((given_listed, 12), (TODAY, 8.5)):
        for character in characters:
            given[character] = max(given[character], total * 2**-bits)
    write_bits("given.zh.txt", FROM_JIEBA.format("How usual a character is in given names: bits, and the characters."), by_bits(given, 2))
    write_bits("surnames.zh.txt", FROM_JIEBA.format("How usual a surname is: bits, and the surnames."), by_bits(first, 1))
    mixed = {c: by_sound[c] / sum(by_sound.values()) + given[c] / sum(given.values()) for c in {*given, *by_sound}}
    foreign = by_bits({c: share for c, share in mixed.items() if share > 2**-13}, 0)
    head = "How usual a character is in names that are written by their sound, or in given names."
    write_bits("foreign.zh.txt", FROM_JIEBA.format(head), foreign)
    write_ordinary(words, surnames)


def write_ordinary(words, surnames):
    classes = collections.defaultdict(list)
    for word, (count, kind) in words.items():
        if kind in ("nr", "nrfg", "nrt") and len(word) > 1:
            is_kept = len(word) == 2 and count >= 200 and kind == "nr"
            is_name = (word[0] in surnames and len(word) in (2, 3)) or kind != "nr"
            if not is_kept and (is_name or count < 100):
                continue
        has_surname = any(character in surnames for character in word)
        begins = word[0] in surnames
        least = {1: 20, 2: 20 if has_surname else 60, 3: 20 if begins else 80, 4: 60 if begins else 150}.get(len(word))
        if least is None or count < least:
            continue
        # Of words that the dictionary takes for names most are seldom said.
        count = count / 16 if kind == "nr" and len(word) == 2 else count
        classes[max(0, round(math.log2(count)))].append(word)
    text = FROM_JIEBA.format("Ordinary words of Mandarin by how frequent they are: bits, and the words; names of people are left out.")
    for bits in sorted(classes, reverse=True):
        text += folded("", classes[bits], str(bits))
    (OUT / "words.zh.txt").write_text(text, encoding="utf-8")


def english(scowl, census):
    def lists(*patterns):
        files = [file for pattern in patterns for file in scowl.glob(pattern)]
        words = {line.strip() for file in files for line in file.read_text(encoding="latin-1").splitlines()}
        return {word for word in words if word.isalpha() and word.isascii()}

    kinds = ("english", "american", "british")
    words = {word.lower() for word in lists(*(f"{kind}-words.[1-5]?" for kind in kinds)) if len(word) > 1}
    upper = lists("english-upper.[1-5]?", "american-upper.50", "british-upper.[35]?")
    peoples = {word.lower() for word in upper if re.search("(an|ish|ese|ians|ans)$", word) and not word.isupper()}
    ordinary = words | peoples | {word.lower() for word in lists("english-upper.[1-4]?")}
    plain = {word for word in ordinary if not any(stem in ordinary for stem in stems(word))}
    read = lambda name: [line.split()[0].lower() for line in (census / name).read_text().splitlines()]
    usual_given = {*read("dist.female.first"), *read("dist.male.first")}
    usual_surnames = read("dist.all.last")[:10_000]
    common = {word.lower() for word in lists("english-words.[12]?", "american-words.[12]?")}
    given = {word for word in usual_given if len(word) > 2 and word not in words}
    surnames = {word for word in usual_surnames if len(word) > 2 and word not in common}
    proper = lists("english-upper.[1-6]?", "english-proper-names.[3456]?", "american-upper.50", "british-upper.[35]?")
    proper = {word.lower() for word in proper} - usual_given - set(usual_surnames)
    for name, head, chosen in (
        ("words.en.txt", FROM_SCOWL.format("Ordinary words of English without their endings."), plain),
        ("proper.en.txt", FROM_SCOWL.format("Places, makes and other proper names that few people have."), proper),
        ("given.en.txt", FROM_CENSUS.format("Given names that are no words."), given),
        ("surnames.en.txt", FROM_CENSUS.format("Surnames that are none of the most usual words."), surnames),
    ):
        (OUT / name).write_text(folded(head, chosen), encoding="utf-8")


def stems(word):
    """What may be left of a word without its ending, as ordinary.rs looks for it."""
    endings = {"s": [""], "es": ["", "e"], "ies": ["y"], "ied": ["y"], "ed": ["", "e"], "ing": ["", "e"], "ly": ["", "le"]}
    for ending, left in endings.items():
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < 3:
            continue
        yield from (stem + end for end in left)
        if stem[-1] == stem[-2]:
            yield stem[:-1]


if __name__ == "__main__":
    dictionary, scowl, census = map(pathlib.Path, sys.argv[1:])
    mandarin(dictionary)
    english(scowl, census)
