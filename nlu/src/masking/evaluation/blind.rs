//! What fills the slots of the blind templates: other names, other ways of saying digits, other numbers that are no secret.
//!
//! Written before the masker was run on any of it; what a secret is by its check digits comes from the recipe beside it.

use super::values::{Random, card, identity, mobile, numeral};
use crate::masking::Class;

/// A pause in the midst of a secret.
const PAUSE: &str = super::PAUSE;

/// What fills a slot, and of which kind it is when it is secret.
pub(super) fn value(slot: &str, is_mandarin: bool, names: &Names, random: &mut Random) -> (Option<Class>, String) {
    let class = |class, text| (Some(class), text);
    match slot {
        "name" => {
            class(Class::Name, if is_mandarin { mandarin_name(names, random) } else { english_name(names, random) })
        }
        "surname" => class(
            Class::Name,
            random.one_of(if is_mandarin { names.surnames } else { names.english_surnames }).to_owned(),
        ),
        "phone" | "phone_split" | "phone_turns" | "landline" => {
            class(Class::Phone, telephone(slot, is_mandarin, random))
        }
        "id" => class(Class::IdCard, said(&identity(random), &[6, 4, 4, 4], true, random)),
        "id_turns" => class(Class::IdCard, split(&identity(random), &[6, 4, 4, 4], &ECHOES, true, random)),
        "ssn" => {
            let digits = format!("{}{}", 1 + random.below(8), random.digits(8));
            class(Class::IdCard, said(&digits, &[3, 2, 4], false, random))
        }
        "card" => {
            let digits = card(random);
            let groups: &[usize] = if digits.len() == 16 { &[4, 4, 4, 4] } else { &[4, 4, 4, 4, 3] };
            class(Class::BankCard, said(&digits, groups, is_mandarin, random))
        }
        "card_turns" => {
            let digits = card(random);
            let groups: &[usize] = if digits.len() == 16 { &[4, 4, 4, 4] } else { &[4, 4, 4, 4, 3] };
            let echoes: &[&str] = if is_mandarin { &ECHOES } else { &ENGLISH_ECHOES };
            class(Class::BankCard, split(&digits, groups, echoes, is_mandarin, random))
        }
        "code" => {
            let digits = random.some_digits(4, 6);
            let half = digits.len() / 2;
            let text = match random.below(4) {
                0 => digits,
                1 => format!("{} {}", &digits[..half], &digits[half..]),
                2 => format!("{}-{}", &digits[..half], &digits[half..]),
                _ => read_out(&digits, is_mandarin, 0, random),
            };
            class(Class::Code, text)
        }
        "plate" if is_mandarin => class(Class::Plate, mandarin_plate(random)),
        "plate" => {
            let (letters, digits) = (random.one_of("HBN/QRS/ZLA/DKE/TYP"), random.some_digits(3, 4));
            class(Class::Plate, format!("{letters}{}{digits}", random.one_of(" /-/")))
        }
        "email" => class(Class::Email, email(is_mandarin, random)),
        "address" if is_mandarin => class(Class::Address, mandarin_address(random)),
        "address" => class(Class::Address, english_address(random)),
        _ => (None, harmless(slot, is_mandarin, random)),
    }
}

fn telephone(slot: &str, is_mandarin: bool, random: &mut Random) -> String {
    match slot {
        "phone" if is_mandarin => {
            let digits = mobile(random);
            said(&digits, &[3, 4, 4], true, random)
        }
        "phone" => {
            let digits = american(random);
            match random.below(4) {
                0 => format!("+1-{}-{}-{}", &digits[..3], &digits[3..6], &digits[6..]),
                1 => format!("({}) {} {}", &digits[..3], &digits[3..6], &digits[6..]),
                _ => said(&digits, &[3, 3, 4], false, random),
            }
        }
        "phone_split" => {
            let digits = mobile(random);
            split(&digits, &[[4, 4, 3], [3, 4, 4], [5, 3, 3]][random.below(3)], &[], true, random)
        }
        "phone_turns" if is_mandarin => {
            let digits = mobile(random);
            split(&digits, &[3, 4, 4], &ECHOES, true, random)
        }
        "phone_turns" => {
            let digits = american(random);
            split(&digits, &[3, 3, 4], &ENGLISH_ECHOES, false, random)
        }
        _ => {
            let area = random.one_of("023/024/0769/0311/0898/025/0451");
            let rest = format!("{}{}", 2 + random.below(7), random.digits(if area.len() == 3 { 7 } else { 6 }));
            match random.below(4) {
                0 => format!("{area}-{rest}"),
                1 => format!("{area} {} {}", &rest[..rest.len() - 4], &rest[rest.len() - 4..]),
                2 => format!("({area}){rest}"),
                _ => read_out(&format!("{area}{rest}"), true, 0, random),
            }
        }
    }
}

fn american(random: &mut Random) -> String {
    let area = format!("{}{}", 2 + random.below(8), random.digits(2));
    format!("{area}{}{}", 2 + random.below(8), random.digits(6))
}

/// Digits as somebody may say, write or hide them.
fn said(digits: &str, groups: &[usize], is_mandarin: bool, random: &mut Random) -> String {
    let parts = cut(digits, groups);
    match random.below(10) {
        0 => digits.to_owned(),
        1 => parts.join(random.one_of(" /-/./ - /\u{a0}/\u{3000}")),
        2 => parts.join(if is_mandarin { "，" } else { ", " }),
        3 => spaced(digits, random.one_of("\u{200c}/ \u{200b}/_/·/ .")),
        4 => digits.chars().map(circled).collect(),
        5 => spaced(&digits.chars().map(wide).collect::<String>(), "\u{3000}"),
        // Some groups written, others read out.
        6 => {
            let parts = parts.iter().enumerate().map(|(index, part)| {
                if index % 2 == 0 { part.clone() } else { read_out(part, is_mandarin, 0, random) }
            });
            parts.collect::<Vec<_>>().join(if is_mandarin { "" } else { " " })
        }
        7 => {
            let filler = random.one_of(if is_mandarin { "，嗯，/ 呃 /啊，" } else { ", um, / uh / ... " });
            parts.iter().map(|part| read_out(part, is_mandarin, 0, random)).collect::<Vec<_>>().join(filler)
        }
        8 => read_out(digits, is_mandarin, 1 + random.below(3), random),
        _ => read_out(digits, is_mandarin, 0, random),
    }
}

fn cut(digits: &str, groups: &[usize]) -> Vec<String> {
    let mut from = 0;
    let part = |size: &usize| {
        from += size;
        digits[from - size..from].to_owned()
    };
    groups.iter().map(part).collect()
}

fn spaced(digits: &str, gap: &str) -> String {
    digits.chars().map(String::from).collect::<Vec<_>>().join(gap)
}

fn circled(digit: char) -> char {
    match digit {
        '0' => '⓪',
        '1'..='9' => char::from_u32(0x245F + (u32::from(digit) - 0x30)).unwrap_or(digit),
        _ => digit,
    }
}

fn wide(digit: char) -> char {
    char::from_u32(u32::from(digit) + 0xFEE0).unwrap_or(digit)
}

/// Digits read out; `alike` of them, none at the ends, as something that sounds the same.
fn read_out(digits: &str, is_mandarin: bool, alike: usize, random: &mut Random) -> String {
    let words: Vec<&str> = match (is_mandarin, random.below(3)) {
        // As radio operators and soldiers say them.
        (true, 0) => "洞/幺/两/三/四/五/六/拐/八/勾".split('/').collect(),
        (true, 1) => "零/幺/二/三/四/五/六/七/八/九".split('/').collect(),
        (true, _) => "〇/一/二/三/四/五/六/七/八/九".split('/').collect(),
        (false, 0) => "oh/one/two/three/four/five/six/seven/eight/nine".split('/').collect(),
        (false, 1) => "nought/one/two/three/four/five/six/seven/eight/niner".split('/').collect(),
        (false, _) => "zero/One/Two/Three/Four/Five/Six/Seven/Eight/Nine".split('/').collect(),
    };
    let values: Vec<Option<u32>> = digits.chars().map(|digit| digit.to_digit(10)).collect();
    let mut said: Vec<String> = values
        .iter()
        .map(|value| match value {
            Some(value) => words[*value as usize].to_owned(),
            None if is_mandarin => random.one_of("X/叉/艾克斯").to_owned(),
            None => "x".to_owned(),
        })
        .collect();
    for _ in 0..alike {
        let place = 1 + random.below(digits.len() - 2);
        if let Some(value) = values[place] {
            let alike = if is_mandarin { ALIKE[value as usize] } else { ENGLISH_ALIKE[value as usize] };
            said[place] = random.one_of(alike).to_owned();
        }
    }
    if is_mandarin {
        return said.concat();
    }
    let mut out = Vec::new();
    let mut at = 0;
    while at < said.len() {
        let same = said[at..].iter().take_while(|next| **next == said[at]).count();
        let times = match same {
            3.. => "triple ",
            2 => "double ",
            _ => "",
        };
        out.push(format!("{times}{}", said[at]));
        at += same.min(3);
    }
    out.join(" ")
}

/// Digits said in groups, with pauses or with what the other party says between them.
fn split(digits: &str, groups: &[usize], echoes: &[&str], is_mandarin: bool, random: &mut Random) -> String {
    let is_written = random.below(3) == 0;
    let mut line = String::new();
    for (index, part) in cut(digits, groups).iter().enumerate() {
        if index > 0 {
            line += PAUSE;
            if !echoes.is_empty() && random.below(4) > 0 {
                line += &format!("> {}{PAUSE}", echoes[random.below(echoes.len())]);
            }
        }
        line += &if is_written { part.clone() } else { read_out(part, is_mandarin, 0, random) };
    }
    line
}

fn mandarin_name(names: &Names, random: &mut Random) -> String {
    match random.below(6) {
        0 => random.one_of(names.unusual).to_owned(),
        _ => format!("{}{}", random.one_of(names.surnames), random.one_of(names.given)),
    }
}

fn english_name(names: &Names, random: &mut Random) -> String {
    let name = format!("{} {}", random.one_of(names.english_given), random.one_of(names.english_surnames));
    match random.below(3) {
        0 => name.to_lowercase(),
        _ => name,
    }
}

fn mandarin_plate(random: &mut Random) -> String {
    let place = random.one_of("津/渝/豫/冀/陕/赣/桂/琼");
    let letter = random.one_of("A/B/C/H");
    let rest = format!("{}{}", random.one_of("7/J/Q/2"), random.digits(4));
    match random.below(4) {
        0 => format!("{place}{letter}{rest}"),
        1 => format!("{place}{letter} {rest}"),
        2 => format!("{place}{letter}D{}", random.digits(5)),
        _ => format!("{place} {letter} · {rest}"),
    }
}

fn email(is_mandarin: bool, random: &mut Random) -> String {
    let local = random.one_of("hexin/mia.torres/old-fox/t_bakker/sunny.day/ops/liuyun");
    let number = random.some_digits(0, 4);
    let domain = random.one_of("126.com/foxmail.com/sina.cn/hotmail.com/uni-x.edu/mail.example.org");
    match random.below(4) {
        0 => format!("{local}{number}@{domain}"),
        1 => format!("{local}{number}＠{domain}"),
        2 if is_mandarin => {
            let plain = |text: &str| text.replace('.', "点").replace('-', "杠").replace('_', "下划线");
            format!("{}{number}艾特{}", plain(local), plain(domain))
        }
        2 => {
            let plain = |text: &str| text.replace('.', " dot ").replace('-', " hyphen ").replace('_', " underscore ");
            format!("{}{number} at {}", plain(local), plain(domain))
        }
        _ => format!("{}{number}@{}", local.to_uppercase(), domain.to_uppercase()),
    }
}

fn mandarin_address(random: &mut Random) -> String {
    let place = random.one_of("重庆市渝北区/湖南省长沙市岳麓区/天津市河西区/郑州市金水区/厦门市思明区//");
    let street = random.one_of("红锦大道/麓山南路/友谊路/花园路/湖滨北路/东风街/青年西路");
    let number = random.between(1, 888);
    let estate = random.one_of("龙湖花园/万科城/锦绣江南小区/和平公寓/绿地家园");
    let (building, unit, room) = (random.between(1, 24), random.between(1, 3), random.between(101, 2602));
    match random.below(4) {
        0 => format!("{place}{street}{number}号"),
        1 => format!("{place}{street}{number}号院{building}号楼{unit}单元{room}"),
        2 => format!("{place}{estate}{building}幢{room}室"),
        _ => format!("{place}{street}{}号{estate}{}栋", numeral(number), numeral(building)),
    }
}

fn english_address(random: &mut Random) -> String {
    let street =
        random.one_of("Willow Lane/Bridge Street/Harbour Road/Fifth Avenue/Orchard Close/Mill Court/Pine Drive");
    let number = random.between(1, 980);
    match random.below(4) {
        0 => format!("{number} {street}"),
        1 => format!("Flat {}, {number} {street}", random.between(1, 40)),
        2 => format!("{number} {street}, Leeds LS{} {}QT", random.between(1, 9), random.between(1, 9)),
        _ => format!("{} {street}", random.one_of("thirty one/six/two hundred and twelve/eighty")),
    }
}

/// What looks like a secret and is none.
fn harmless(slot: &str, is_mandarin: bool, random: &mut Random) -> String {
    let pick = |texts: (&str, &str), random: &mut Random| {
        random.one_of(if is_mandarin { texts.0 } else { texts.1 }).to_owned()
    };
    match slot {
        "year" => pick(
            (
                "2017/2020/2024/1996/二零一六/二零二二/一九八九/两千零八",
                "2016/2018/2022/1994/twenty nineteen/two thousand and eight/nineteen eighty nine",
            ),
            random,
        ),
        "month" => random.between(1, 12).to_string(),
        "flight" => {
            let (airline, gap) = (pick(("CA/MU/HU/CZ/9C", "BA/UA/LH/AF/DL"), random), random.one_of("/ "));
            format!("{airline}{gap}{}", random.some_digits(3, 4))
        }
        "train" => format!("{}{}", random.one_of("G/D/K/Z/C"), random.between(11, 9_899)),
        "trainno" => random.between(101, 2_999).to_string(),
        "bus" => random.between(2, 988).to_string(),
        "order" => {
            let head = random.one_of("2026/E/PO-/77/YT/");
            format!("{head}{}", random.some_digits(8, 14))
        }
        "mid" => format!("{}{}", random.one_of("/W/KD"), random.between(1_000, 99_999)),
        "amount" => amount(is_mandarin, random),
        "clock" => match (is_mandarin, random.below(3)) {
            (true, 0) => format!("下午{}点{}", numeral(random.between(1, 9)), random.one_of("一刻/二十五/四十/半")),
            (true, 1) => format!("{:02}:{:02}", random.between(7, 23), random.between(1, 59)),
            (true, _) => format!("{}点{:02}分", random.between(8, 20), random.between(1, 59)),
            (false, 0) => format!("{}:{:02}", random.between(1, 12), random.between(1, 59)),
            (false, 1) => {
                format!("{} {}", random.one_of("seven/ten/eleven"), random.one_of("fifteen/thirty/forty five"))
            }
            (false, _) => format!("{:02}{:02} hours", random.between(13, 23), random.between(1, 59)),
        },
        "date" => match (is_mandarin, random.below(2)) {
            (true, 0) => format!("{}月{}日", random.between(1, 12), random.between(1, 28)),
            (true, _) => format!("{}号", numeral(random.between(1, 28))),
            (false, 0) => format!("the {}th of May", random.between(4, 20)),
            (false, _) => format!("{:02}/{:02}/2025", random.between(1, 12), random.between(1, 28)),
        },
        "count" => {
            let count = random.between(2, 99);
            if is_mandarin && random.below(2) == 0 { numeral(count) } else { count.to_string() }
        }
        "model" => pick(
            (
                "iPhone 15/RTX4090/MX-5000/X200/Win10 22H2/安卓14",
                "iPhone 14/RTX 3070/Model 2020/WH-1000/Windows 11/PS5",
            ),
            random,
        ),
        "room" => format!("{}{}", random.one_of("/A/B-"), random.between(201, 2_918)),
        "postal" => pick(("401120/410006/300201", "90210/10001"), random),
        "hotline" => pick(("12306/95533/10010/96110/400-700-1234", "311/988/1-800-555-0142"), random),
        "four" => random.digits(4),
        _ => unreachable!("a blind template names a slot that nothing fills: {slot}"),
    }
}

fn amount(is_mandarin: bool, random: &mut Random) -> String {
    let number = random.between(3, 990);
    match (is_mandarin, random.below(5)) {
        (true, 0) => format!("{}块{}", numeral(number), random.one_of("/八/五")),
        (true, 1) => format!("{number}块"),
        (true, 2) => format!("¥{number}.{}", random.digits(2)),
        (true, 3) => random.one_of("三千八/两万五/一千二百多/五千出头").to_owned(),
        (true, _) => format!("{}元整", random.between(1_000, 9_999)),
        (false, 0) => format!("${}", random.between(1_000, 9_999)),
        (false, 1) => format!("{number} pounds"),
        (false, 2) => format!("{number} euros {}", random.digits(2)),
        (false, 3) => random.one_of("fifteen hundred/two thousand five hundred/ninety nine bucks").to_owned(),
        (false, _) => format!("£{number}.{}", random.digits(2)),
    }
}

/// What the other party says while digits are read out.
const ECHOES: [&str; 4] = ["嗯", "好的", "您继续", "嗯嗯，然后呢"];
const ENGLISH_ECHOES: [&str; 4] = ["okay", "yes", "go on", "and then"];
const ALIKE: [&str; 10] = ["玲/领", "药/摇", "耳/尔", "散/衫", "寺/似", "舞/吴", "路/刘", "其/齐", "爸/拔", "久/旧"];
const ENGLISH_ALIKE: [&str; 10] = ["oh", "won", "to/too", "three", "for", "five", "sex", "seven", "ate", "nine"];

/// The names of a set.
#[derive(Debug)]
pub(super) struct Names {
    surnames: &'static str,
    given: &'static str,
    /// Whole ones.
    unusual: &'static str,
    english_given: &'static str,
    english_surnames: &'static str,
}

pub(super) const BLIND: Names = Names {
    surnames: "张/王/刘/黄/何/罗/赖/温/施/柳/甘/齐/倪/阮/柯/章/凌/骆/游/莫/翁/费/岑/耿/焦/褚/蒲/佘/缪/危/臧/上官/令狐/慕容/端木/司徒",
    given: "玉梅/建平/子墨/若彤/一鸣/文静/少华/春燕/国栋/梓萱/景行/知夏/慕白/锦程/念慈/维钧/书瑶/沐宸/可馨/立群/凤英/长贵/琪/岩/薇/旭/岚/铮/翀/喆",
    unusual: "欧阳震华/阿依古丽/邝美云/苗圃/多吉/盖聂平/亓亮/查良镛/尔冬升/古天乐/乌兰/蔚来军",
    english_given: "Ngozi/Tomasz/Eilidh/Thandiwe/Bjorn/Rosalind/Imran/Xochitl/Cedric/Maribel/Deepika/Jürgen/Zuzana/Kwame/Beatrix/Rohan/Fergus/Leilani/Stefan/Adaeze",
    english_surnames: "Adeyemi/Wojcik/MacLeod/Nkosi/Sorensen/Ramaswamy/Pemberton/De Luca/Van Dijk/Muñoz/Haddad/Thornbury/Yamada/Oyelaran/Castellanos/Featherstone/Bhatt/Novak/Lockwood/Tanner",
};
pub(super) const UNSEEN: Names = Names {
    surnames: "何/程/蓝/宁/屠/连/安/蒙/解/艾/牟/简/甄/卓/桑/裘/蔺/窦/阎/巩/仇/鲍/单/古/涂/向/覃/呼延/赫连/百里/钟离",
    given: "晓梅/卫东/思远/语嫣/振华/秋菊/小龙/雨薇/天宇/美玲/长江/雅琴/子豪/婧/钊/妍/皓/昕/懿/玥/明哲/清扬/望舒/博文/爱国/桂芝/铁柱/婉清/致远/星河",
    unusual: "努尔江/索朗/慕容雪/东方既白/花满楼/牛得草/黑大春/雷蕾/梅葆玖/古力扎",
    english_given: "Oluwaseun/Katarzyna/Aoibhinn/Lindiwe/Torsten/Philippa/Farid/Itzel/Basil/Consuelo/Shreya/Günther/Milica/Yaw/Clementine/Kiran/Alasdair/Keahi/Bogdan/Chinwe",
    english_surnames: "Balogun/Kaminski/MacGregor/Dlamini/Eriksen/Venkatesan/Hawthorne/Di Marco/Van den Berg/Núñez/Khoury/Winterbourne/Ishikawa/Adebayo/Villanueva/Butterworth/Chatterjee/Dvorak/Blackwood/Cooper",
};

/// The names of the set called later, which are many: a line of surnames, one of given names, one of whole names.
pub(super) fn later() -> Names {
    let mut mandarin = include_str!("later-names.zh.txt").lines();
    let mut english = include_str!("later-names.en.txt").lines();
    let next = |lines: &mut std::str::Lines<'static>| lines.next().unwrap_or_default();
    Names {
        surnames: next(&mut mandarin),
        given: next(&mut mandarin),
        unusual: next(&mut mandarin),
        english_given: next(&mut english),
        english_surnames: next(&mut english),
    }
}
