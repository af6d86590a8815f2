//! What fills the slots of the evaluation's templates: secrets in the many ways they are said, and what looks like them.

use crate::masking::Class;

/// Random numbers that are the same for the same seed (SplitMix64).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    pub(super) fn one_of<'t>(&mut self, texts: &'t str) -> &'t str {
        let all: Vec<&str> = texts.split('/').collect();
        all[self.below(all.len())]
    }

    pub(super) fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }

    pub(super) fn some_digits(&mut self, low: usize, high: usize) -> String {
        let count = self.between(low, high);
        self.digits(count)
    }

    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }
}

/// What fills a slot, and of which kind it is when it is secret.
pub(super) fn value(slot: &str, is_mandarin: bool, random: &mut Random) -> (Option<Class>, String) {
    let numbers = |class: Class, digits: String, random: &mut Random| (Some(class), said(&digits, is_mandarin, random));
    match slot {
        "name" if is_mandarin => (Some(Class::Name), mandarin_name(random)),
        "name" => (Some(Class::Name), english_name(random)),
        "surname" => {
            let names = if is_mandarin { SURNAMES } else { ENGLISH_SURNAMES };
            (Some(Class::Name), random.one_of(names).to_owned())
        }
        "phone" if is_mandarin => numbers(Class::Phone, mobile(random), random),
        "phone" => (Some(Class::Phone), english_phone(random)),
        "phone_split" if is_mandarin => (Some(Class::Phone), split(&mobile(random), &[3, 4, 4], true, random)),
        "phone_split" => {
            let digits = format!("{}{}", 2 + random.below(8), random.digits(2));
            let digits = format!("{digits}{}{}", 2 + random.below(8), random.digits(6));
            (Some(Class::Phone), split(&digits, &[3, 3, 4], false, random))
        }
        "landline" => {
            let area = random.one_of("010/021/0571/0755/020/028/0532/0512/029/0591");
            let length = if area.len() == 3 { 8 } else { 7 + random.below(2) };
            let digits = format!("{}{}", 2 + random.below(7), random.digits(length - 1));
            match random.below(3) {
                0 => (Some(Class::Phone), format!("{area}-{digits}")),
                1 => (Some(Class::Phone), spoken(&format!("{area}{digits}"), true, 0, random)),
                _ => (Some(Class::Phone), format!("{area}{digits}")),
            }
        }
        "id" => numbers(Class::IdCard, identity(random), random),
        "id_split" => (Some(Class::IdCard), split(&identity(random), &[6, 8, 4], true, random)),
        "id_old" => {
            let id = identity(random);
            numbers(Class::IdCard, format!("{}{}", &id[..6], &id[8..17]), random)
        }
        "ssn" => {
            let digits = format!("{}{}", 1 + random.below(8), random.digits(8));
            let text = match random.below(3) {
                0 => format!("{}-{}-{}", &digits[..3], &digits[3..5], &digits[5..]),
                1 => spoken(&digits, false, 0, random),
                _ => digits,
            };
            (Some(Class::IdCard), text)
        }
        "card" => numbers(Class::BankCard, card(random), random),
        "card_split" => (Some(Class::BankCard), split(&card(random)[..16], &[4, 4, 4, 4], is_mandarin, random)),
        "code" => {
            let count = if random.below(3) == 0 { 4 } else { 6 };
            let digits = random.digits(count);
            let text = if random.below(2) == 0 { spoken(&digits, is_mandarin, 0, random) } else { digits };
            (Some(Class::Code), text)
        }
        "plate" if is_mandarin => (Some(Class::Plate), mandarin_plate(random)),
        "plate" => (Some(Class::Plate), english_plate(random)),
        "email" => (Some(Class::Email), email(is_mandarin, random)),
        "address" if is_mandarin => (Some(Class::Address), mandarin_address(random)),
        "address" => (Some(Class::Address), english_address(random)),
        _ => (None, harmless(slot, is_mandarin, random)),
    }
}

pub(super) fn mobile(random: &mut Random) -> String {
    format!("1{}{}", 3 + random.below(7), random.digits(9))
}

/// Eighteen digits with region, birthday and check digit (GB 11643-1999).
pub(super) fn identity(random: &mut Random) -> String {
    let region = random.one_of("110101/330106/440305/510107/320102/420106/610113/210102/230103/350203/150102/650102");
    let (year, month, day) = (random.between(1945, 2012), random.between(1, 12), random.between(1, 28));
    let first = format!("{region}{year}{month:02}{day:02}{}", random.digits(3));
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: usize = first.bytes().zip(weights).map(|(digit, weight)| usize::from(digit - b'0') * weight).sum();
    format!("{first}{}", char::from(b"10X98765432"[sum % 11]))
}

/// A card number with its check digit.
pub(super) fn card(random: &mut Random) -> String {
    let (prefix, length) =
        [("6222", 19), ("6217", 19), ("6228", 16), ("4", 16), ("51", 16), ("55", 16), ("62", 16)][random.below(7)];
    let first = format!("{prefix}{}", random.digits(length - 1 - prefix.len()));
    let sum: usize = first
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let twice = usize::from(digit - b'0') * (2 - place % 2);
            if twice > 9 { twice - 9 } else { twice }
        })
        .sum();
    format!("{first}{}", (10 - sum % 10) % 10)
}

/// Digits as somebody may say or write them, or hide them from a careless eye.
fn said(digits: &str, is_mandarin: bool, random: &mut Random) -> String {
    match random.below(8) {
        0 | 1 => digits.to_owned(),
        2 => grouped(digits, random.one_of(" /-"), 4),
        3 => grouped(digits, random.one_of(" /. / - /\u{200b}"), 1),
        4 => digits.chars().map(full_width).collect(),
        5 | 6 => spoken(digits, is_mandarin, 0, random),
        _ => spoken(digits, is_mandarin, 2, random),
    }
}

fn grouped(digits: &str, gap: &str, size: usize) -> String {
    let characters: Vec<char> = digits.chars().collect();
    let groups: Vec<String> = characters.chunks(size).map(|group| group.iter().collect()).collect();
    groups.join(gap)
}

fn full_width(digit: char) -> char {
    char::from_u32(u32::from(digit) + 0xFEE0).unwrap_or(digit)
}

/// Digits read out one by one; `alike` of them, none at the ends, are written as something that sounds the same.
fn spoken(digits: &str, is_mandarin: bool, alike: usize, random: &mut Random) -> String {
    let one = random.one_of("一/幺");
    let mut said: Vec<String> = digits
        .chars()
        .map(|digit| match (digit, is_mandarin) {
            ('1', true) => one.to_owned(),
            ('X', true) => random.one_of("X/x/叉").to_owned(),
            ('X', false) => "x".to_owned(),
            ('0', false) => random.one_of("zero/oh").to_owned(),
            (digit, true) => {
                "零一二三四五六七八九".chars().nth(digit as usize - '0' as usize).map_or_else(String::new, String::from)
            }
            (digit, false) => ENGLISH_DIGITS[digit as usize - '0' as usize].to_owned(),
        })
        .collect();
    let characters: Vec<char> = digits.chars().collect();
    for _ in 0..if is_mandarin { alike } else { 0 } {
        let place = 1 + random.below(digits.len() - 2);
        if let Some(digit) = characters[place].to_digit(10) {
            said[place] = random.one_of(ALIKE[digit as usize]).to_owned();
        }
    }
    if is_mandarin {
        return said.concat();
    }
    let mut words = Vec::new();
    let mut at = 0;
    while at < said.len() {
        let is_double = characters.get(at + 1) == Some(&characters[at]) && random.below(2) == 0;
        words.push(if is_double { format!("double {}", said[at]) } else { said[at].clone() });
        at += 1 + usize::from(is_double);
    }
    words.join(" ")
}

/// Digits said in groups with a pause after each.
fn split(digits: &str, groups: &[usize], is_mandarin: bool, random: &mut Random) -> String {
    let is_spoken = random.below(3) > 0;
    let mut from = 0;
    let parts = groups.iter().map(|size| {
        let group = &digits[from..from + size];
        from += size;
        if is_spoken { spoken(group, is_mandarin, 0, random) } else { group.to_owned() }
    });
    parts.collect::<Vec<_>>().join(super::PAUSE)
}

fn mandarin_name(random: &mut Random) -> String {
    if random.below(4) == 0 {
        return random.one_of(FULL_NAMES).to_owned();
    }
    let surname = random.one_of(SURNAMES).to_owned();
    let given = random.one_of(GIVEN);
    surname + given
}

fn english_name(random: &mut Random) -> String {
    let name = format!("{} {}", random.one_of(ENGLISH_GIVEN), random.one_of(ENGLISH_SURNAMES));
    if random.below(2) == 0 { name.to_lowercase() } else { name }
}

fn english_phone(random: &mut Random) -> String {
    let area = format!("{}{}", 2 + random.below(8), random.digits(2));
    let exchange = format!("{}{}", 2 + random.below(8), random.digits(2));
    let last = random.digits(4);
    match random.below(6) {
        0 => format!("({area}) {exchange}-{last}"),
        1 => format!("{area}-{exchange}-{last}"),
        2 => format!("+1 {area} {exchange} {last}"),
        3 => format!("{area} {exchange} {last}"),
        4 => format!("plus four four seven {}", spoken(&random.digits(9), false, 0, random)),
        _ => spoken(&format!("{area}{exchange}{last}"), false, 0, random),
    }
}

fn mandarin_plate(random: &mut Random) -> String {
    let place = random.one_of("京A/沪B/粤B/浙A/苏E/川A/鲁B/闽D/湘A/鄂A/皖C/辽B");
    let digits = random.digits(5);
    match random.below(4) {
        0 => format!("{place}{digits}"),
        1 => format!(
            "{place}·{}{}",
            random.one_of("D/F/K"),
            &random.digits(5)[..if random.below(2) == 0 { 5 } else { 4 }]
        ),
        2 => format!("{place}{}", spoken(&digits, true, 0, random)),
        _ => format!("{} {}{}", place.to_lowercase(), &digits[..4], random.one_of("k/m/x")),
    }
}

fn english_plate(random: &mut Random) -> String {
    let letters = random.one_of("ABC/KTR/MXZ/LJP/WVB");
    let digits = random.some_digits(3, 4);
    match random.below(3) {
        0 => format!("{letters} {digits}"),
        1 => format!("{letters}-{digits}"),
        _ => grouped(&letters.to_lowercase(), " ", 1) + " " + &spoken(&digits, false, 0, random),
    }
}

fn email(is_mandarin: bool, random: &mut Random) -> String {
    let local = random.one_of("zhangwei/lily_chen/john.smith/sarah-jones/k.walker/tommy/wang.fang");
    let number = if random.below(2) == 0 { random.digits(3) } else { String::new() };
    let domain = random.one_of("qq.com/163.com/gmail.com/outlook.com/example.com.cn/company.co.uk");
    let spoken_dots = |text: &str, dot: &str| text.replace('.', dot);
    match random.below(4) {
        0 | 1 => format!("{local}{number}@{domain}"),
        2 if is_mandarin => {
            format!("{}{number}艾特{}", spoken_dots(&local.replace('_', "下划线"), "点"), spoken_dots(domain, "点"))
        }
        2 => {
            let local = spoken_dots(&local.replace('_', " underscore ").replace('-', " dash "), " dot ");
            format!("{local}{number} at {}", spoken_dots(domain, " dot "))
        }
        _ => format!("{local}{number} @ {domain}"),
    }
}

fn mandarin_address(random: &mut Random) -> String {
    let place = random
        .one_of("浙江省杭州市西湖区/北京市朝阳区/上海市浦东新区/广东省深圳市南山区/成都市武侯区/南京市鼓楼区//苏州市");
    let street = random.one_of("文三路/中山北路/人民大道/解放街/建国门外大街/学院路/和平里胡同/科技园路/长江西路");
    let number = random.between(1, 999);
    let estate = random.one_of("阳光花园/翠湖小区/金色家园/东方公寓/恒大山庄");
    let (building, unit, room) = (random.between(1, 30), random.between(1, 4), random.between(101, 1804));
    match random.below(4) {
        0 => format!("{place}{street}{number}号"),
        1 => format!("{place}{street}{number}号{estate}{building}栋{unit}单元{room}室"),
        2 => format!("{place}{estate}{building}栋{unit}单元{room}"),
        _ => format!("{place}{street}{}号", numeral(number)),
    }
}

/// A number below a thousand as it is said.
pub(super) fn numeral(number: usize) -> String {
    let digit = |value: usize| "零一二三四五六七八九".chars().nth(value).map_or_else(String::new, String::from);
    let (hundreds, tens, ones) = (number / 100, number / 10 % 10, number % 10);
    let mut text = String::new();
    if hundreds > 0 {
        text += &format!("{}百", digit(hundreds));
    }
    if tens > 0 {
        text += &format!("{}十", digit(tens));
    } else if hundreds > 0 && ones > 0 {
        text += "零";
    }
    if ones > 0 {
        text += &digit(ones);
    }
    text
}

fn english_address(random: &mut Random) -> String {
    let number = random.between(1, 2_500);
    let street = random.one_of(
        "Maple Street/Oak Avenue/Elm Road/Kings Lane/Sunset Boulevard/Church Street/Lakeview Drive/Station Road",
    );
    let flat = format!("{} {}", random.one_of("apartment/flat/unit/apt"), random.between(1, 60));
    let text = match random.below(5) {
        0 => format!("{number} {street}"),
        1 => format!("{number} {street}, {flat}"),
        2 => format!("{number} {street}, Springfield, IL {}", random.digits(5)),
        3 => format!("{number} {street}, London SW1A 2AA"),
        _ => format!("{} {street}", random.one_of("forty two/one hundred and five/twelve/seven/two twenty one")),
    };
    if random.below(2) == 0 { text.to_lowercase() } else { text }
}

/// What looks like a secret and is none.
fn harmless(slot: &str, is_mandarin: bool, random: &mut Random) -> String {
    match slot {
        "long" => {
            let digits = format!("{}{}", random.one_of("2026/2025/88/73/JD/SF/3"), random.some_digits(9, 13));
            if is_mandarin && random.below(4) == 0 && !digits.starts_with(['J', 'S']) {
                spoken(&digits, true, 0, random)
            } else {
                digits
            }
        }
        "mid" => format!("{}{}", random.one_of("A/B//C"), random.some_digits(4, 7)),
        "count" => {
            let count = random.between(2, 99);
            if is_mandarin && random.below(2) == 0 { numeral(count) } else { count.to_string() }
        }
        "price" => price(is_mandarin, random),
        "time" => match (is_mandarin, random.below(2)) {
            (true, 0) => format!("{}点{}分", random.between(1, 12), random.between(10, 59)),
            (true, _) => format!("{}点半", random.one_of("三/九/十/十一")),
            (false, 0) => format!("{}:{}", random.between(1, 12), random.between(10, 59)),
            (false, _) => format!("{} o'clock", random.one_of("three/nine/ten")),
        },
        "date" => {
            let (month, day) = (random.between(1, 12), random.between(1, 28));
            match (is_mandarin, random.below(2)) {
                (true, 0) => format!("{}月{}号", numeral(month), numeral(day)),
                (true, _) => format!("2026年{month}月{day}日"),
                (false, 0) => format!("2026-{month:02}-{day:02}"),
                (false, _) => format!("{} {day}", random.one_of("March/June/October")),
            }
        }
        "year" if is_mandarin => random.one_of("2019/二零一八/2023/一九九八").to_owned(),
        "year" => random.one_of("2019/2021/nineteen ninety eight/2023").to_owned(),
        "hotline" if is_mandarin => random.one_of("10086/12315/95588/110/400-820-8820/12345").to_owned(),
        "hotline" => random.one_of("911/800-555-0199/211").to_owned(),
        "postal" => random.one_of("310000/100020/518000").to_owned(),
        "version" => random.one_of("10.2.3/4.18/7.0.1").to_owned(),
        "surname" | "name" => String::new(),
        _ => unreachable!("a template names a slot that nothing fills: {slot}"),
    }
}

fn price(is_mandarin: bool, random: &mut Random) -> String {
    let number = random.between(2, 999);
    match (is_mandarin, random.below(3)) {
        (true, 0) => format!("{}块", numeral(number)),
        (true, 1) => format!("{number}.{}元", random.digits(2)),
        (true, _) => format!("{number}块钱"),
        (false, 0) => format!("${number}.{}", random.digits(2)),
        (false, 1) => format!("{number} dollars"),
        (false, _) => {
            format!("{} hundred and {} dollars", random.one_of("one/two/nine"), random.one_of("five/twenty/fifty six"))
        }
    }
}

const ENGLISH_DIGITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
/// What Mandarin recognisers write in place of digits.
const ALIKE: [&str; 10] = ["林/灵", "要/腰", "儿/而", "山/伞", "是/事", "午/武", "溜/流", "期/起", "吧/把", "就/酒"];
const SURNAMES: &str = "王/李/张/刘/陈/杨/赵/黄/周/吴/徐/孙/胡/朱/高/林/何/郭/马/罗/梁/宋/郑/谢/韩/唐/冯/于/董/萧/程/曹/袁/邓/许/傅/沈/曾/彭/吕/苏/卢/蒋/蔡/贾/丁/魏/薛/叶/阎/余/潘/杜/戴/夏/钟/汪/田/任/姜/范/方/石/姚/谭/廖/邹/熊/金/陆/郝/孔/白/崔/康/毛/邱/秦/江/史/顾/侯/邵/孟/龙/万/段/雷/钱/汤/尹/黎/易/常/武/乔/贺/赖/龚/文/欧阳/司马/诸葛";
const GIVEN: &str = "伟/芳/娜/敏/静/强/磊/洋/艳/勇/军/杰/娟/涛/超/明/霞/秀英/丽华/建国/志强/桂英/小红/晓明/雨婷/子轩/浩然/欣怡/梓涵/俊杰/思琪/嘉怡/一诺/宇航/诗涵/国庆/海燕/玉兰/春梅/建军/文博/雪莲/佳琪/永强/德华/淑芬/晨曦/天佑/若曦/奕辰";
const FULL_NAMES: &str = "张三丰/李建国/王秀兰/陈晓东/刘德胜/赵雅芝/孙丽萍/周杰/吴彦龙/郑爽/钱多/冯小刚/蒋文丽/沈腾飞/韩梅梅/李雷/杨幂之/朱亚文/许晴/何静怡/吕思清/施一鸣/曹云金/严宽/华春莹/陶虹/戚薇/魏大勋/谢霆/唐嫣然";
const ENGLISH_GIVEN: &str = "James/Mary/Robert/Linda/Michael/Susan/David/Karen/Daniel/Nancy/Peter/Helen/Oliver/Emma/Liam/Sophie/Priya/Ahmed/Yusuf/Ingrid/Mateo/Chiara/Declan/Siobhan/Hiroshi/Olga/Wendy/Trevor/Marcus/Naomi/Gavin/Bridget";
const ENGLISH_SURNAMES: &str = "Smith/Johnson/Williams/Brown/Garcia/Miller/Davis/Wilson/Anderson/Taylor/Thomas/Moore/Martin/Lee/Walker/Hall/Young/Wright/Hughes/Patel/Kowalski/O'Connor/Nakamura/Schneider/Okafor/Lindqvist/Fernandez/Fitzgerald/Whitfield/Abernathy";
