//! What is masked and what is not, piece by piece.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;

static LISTS: LazyLock<Arc<MaskingLists>> = LazyLock::new(|| Arc::new(MaskingLists::built_in()));

fn masker() -> Masker {
    Masker::new(Arc::clone(&LISTS), Class::usual())
}

#[test]
fn phone_numbers() {
    check("我的电话是13800138000", "我的电话是[电话]");
    check("我的电话是幺三八零零幺三八零零零，谢谢", "我的电话是[电话]，谢谢");
    check("打这个１３８ 0013-8000", "打这个[电话]");
    check("1 3 8 0 0 1 3 8 0 0 0", "[phone]");
    check("幺三吧零零幺三把零零零", "[电话]");
    check("家里座机是零五七一八八六六五五四四", "家里座机是[电话]");
    check("010-88886666", "[phone]");
    check("+44 20 7946 0958 please", "[phone] please");
    check("打0085291234567找我", "打[电话]找我");
    check("流水号是0085291234567，查一下", "流水号是0085291234567，查一下");
    check("call me at two one two five five five zero one double nine", "call me at [phone]");
    check("one three eight double zero one three eight triple zero is my number", "[phone] is my number");
    check("13800138000 13900139000", "[phone] [phone]");
    check("打了 10086 和 95588 都没人接", "打了 10086 和 95588 都没人接");
    check("客服热线 400-812-3123 打不通", "客服热线 400-812-3123 打不通");
}

#[test]
fn identity_and_bank_cards() {
    check("身份证号11010119900307451X", "身份证号[身份证]");
    check("一一零一零一一九九零零三零七四五幺叉", "[身份证]");
    check("110101900307451 就是", "[身份证] 就是");
    check("卡号 4111 1111 1111 1111", "卡号 [银行卡]");
    check("六二二二零二幺二三四五六七八九零幺二三", "[银行卡]");
    check(
        "my card number is four one one one one one one one one one one one one one one one",
        "my card number is [card]",
    );
    check("订单号是 2023112612345678", "订单号是 2023112612345678");
}

#[test]
fn papers_other_than_identity_cards() {
    check("我的护照是E12345678，麻烦查一下", "我的护照是E[身份证]，麻烦查一下");
    check("台胞证是12345678，麻烦查一下", "台胞证是[身份证]，麻烦查一下");
    check("通行证C12345678的", "通行证C[身份证]的");
    check("护照还有12个月到期，工单号20231126123", "护照还有12个月到期，工单号20231126123");
}

#[test]
fn codes() {
    check("验证码是 4821", "验证码是 [验证码]");
    check("验证码四八二一九三。", "验证码[验证码]。");
    check("482193 is the verification code", "[code] is the verification code");
    check("my pin is four eight two one", "my pin is [code]");
    check("密码是什么", "密码是什么");
    let mut masker = masker();
    masker.heard_from_other(["请报一下短信里的验证码"]);
    assert_eq!(masker.finished("嗯 四八二一 对").text, "嗯 [验证码] 对");
}

#[test]
fn names() {
    check("我叫王小明", "我叫[姓名]");
    check("我是李伟，我要投诉", "我是[姓名]，我要投诉");
    check("请王先生接电话", "请[姓名]先生接电话");
    check("我姓欧阳", "我姓[姓名]");
    check("联系人是张丽华女士", "联系人是[姓名]女士");
    check("我叫你们经理来", "我叫你们经理来");
    check("我叫了外卖", "我叫了外卖");
    check("my name is john smith and i am angry", "my name is [name] and i am angry");
    check("This is Sarah Connor", "This is [name]");
    check("Mr. Johnson called", "Mr. [name] called");
    check("my name is s m i t h", "my name is [name]");
    check("谢志强，我的大名", "[姓名]，我的大名");
    check("李雷", "[姓名]");
    check("高兴，太高兴了", "高兴，太高兴了");
    check("my name is not important", "my name is not important");
}

#[test]
fn names_that_no_list_has() {
    for (text, expected) in [
        ("单子是用古晓梅的名义下的", "单子是[姓名]的名义下的"),
        ("签字的是何婧，不是我本人", "签字的是[姓名]，不是我本人"),
        ("我爱人仇皓去取的货", "我爱人[姓名]去取的货"),
        ("就找努尔江，他负责", "就找[姓名]，他负责"),
        ("裘明哲，手机13800138000", "[姓名]，手机[电话]"),
        ("我找章文斌", "我找[姓名]"),
        ("you spoke to katarzyna villanueva this morning", "you spoke to [name] this morning"),
        ("put it under Farid Balogun, that's my husband", "put it under [name], that's my husband"),
        ("Torsten van den Berg here", "[name] here"),
        ("is frank available", "is [name] available"),
        ("last name swift", "last name [name]"),
        ("it's B for Bravo R for Romeo Y for Yankee", "it's [name]"),
        ("the name is W-E-I-S-S", "the name is [name]"),
    ] {
        check(text, expected);
    }
    let mut masker = masker();
    masker.heard_from_other(["and your last name"]);
    assert_eq!(masker.finished("yes of course it's frost").text, "yes of course it's [name]");
    let mut masker = self::masker();
    masker.heard_from_other(["请问您贵姓"]);
    assert_eq!(masker.finished("柴").text, "[姓名]");
}

#[test]
fn names_in_frames() {
    for (text, expected) in [
        ("免贵性沈，刚才断线了", "免贵性[姓名]，刚才断线了"),
        ("让老秦来听电话", "让老[姓名]来听电话"),
        ("你跟姜工说一声，我到楼下了", "你跟[姓名]说一声，我到楼下了"),
        ("公司法人是帕尔哈提·肉孜，我只是经办的", "公司法人是[姓名]，我只是经办的"),
        ("就是我同事高有才她也收到了", "就是我同事[姓名]她也收到了"),
        ("乘车人有两个，一个卓玛·央金，一个袁默", "乘车人有两个，一个[姓名]，一个[姓名]"),
        ("我叫李宁", "我叫[姓名]"),
        ("names peng hopwood i've got an appointment", "names [name] i've got an appointment"),
        (
            "it says Amina Bautista on my passport but Ion Dominguez on the ticket",
            "it says [name] on my passport but [name] on the ticket",
        ),
        ("my maiden name was Wood, it's Dimitrov now", "my maiden name was [name], it's [name] now"),
        ("make the cheque out to Yi Ling McKenzie", "make the cheque out to [name]"),
        ("could Reed Kulkarni from the claims team give me a bell", "could [name] from the claims team give me a bell"),
        ("there's two of us flying, Rudo Tesfaye and Peter He", "there's two of us flying, [name] and [name]"),
        ("my name is john lewis", "my name is [name]"),
    ] {
        check(text, expected);
    }
}

#[test]
fn what_is_heard_in_place_of_a_cue_announces_too() {
    check("验正码55774对不对", "验正码[验证码]对不对");
    check("车排号是京A12345", "车排号是[车牌]");
    check("验正码收不到，一共55774个", "验正码收不到，一共55774个");
    check("我兴趣不大", "我兴趣不大");
}

#[test]
fn what_is_like_a_name_is_none() {
    for text in [
        "让主管来",
        "姓名和电话都填了",
        "请你马上给我解决",
        "高兴不起来真的",
        "向经理反映过了",
        "就是送餐太慢",
        "满4337元整减2667元整不能用",
        "她叫什么",
        "买了一箱王老吉，有两罐是瘪的",
        "李宁的鞋穿了九天就开胶",
        "康师傅那个方便面全碎了",
        "你们这是张冠李戴，扣错人了",
        "师傅师傅，你先别挂",
        "让老板来，小时候来过",
        "应该是白色，不是黄色",
        "早餐·午餐都没送",
        "marks and spencer took it back",
        "i bank with Morgan Stanley, not with you",
        "charlotte to austin on UA 565",
        "the doctor said 58 days off",
        "a 89 gigabyte drive",
        "ring me after seven fifteen",
        "names are wrong on both tickets",
        "but nothing on the ticket is right",
        "i miss those days",
        "call me back when you can",
        "i'm craving chocolate",
        "will you fix it or not",
        "mark it as urgent",
        "my email is not working",
        "this is for kids",
        "the technician said it was fine",
    ] {
        check(text, text);
    }
}

#[test]
fn addresses_plates_and_mail() {
    check("我住在浙江省杭州市西湖区文三路390号3单元502室", "我住在[地址]");
    check("送到中山路三十八号", "送到[地址]");
    check("阳光花园3栋2单元501", "[地址]");
    check("我在杭州市", "我在杭州市");
    check("坐3号线到5号出口", "坐3号线到5号出口");
    check("I live at 42 Maple Street apartment 5, Springfield, IL 62704", "I live at [address]");
    check("forty two oak avenue", "[address]");
    check("postcode SW1A 1AA", "postcode [address]");
    check("粤B12345", "[车牌]");
    check("车牌是京A 幺二三四五", "车牌是[车牌]");
    check("my license plate is a b c 1 2 3", "my license plate is [plate]");
    check("mail john.smith@gmail.com please", "mail [email] please");
    check("john dot smith at gmail dot com", "[email]");
    check("邮箱是zhangsan艾特qq点com", "邮箱是[邮箱]");
    check("邮箱是幺二三四五六@qq.com", "邮箱是[邮箱]");
    check("look at this dot", "look at this dot");
}

#[test]
fn amounts_where_policy_asks() {
    let all = Masker::new(Arc::clone(&LISTS), Class::ALL.into_iter().collect());
    for (text, expected) in [
        ("退我一百二十块", "退我[金额]"),
        ("付了 ¥1,299.00", "付了 [金额]"),
        ("that is twenty five dollars", "that is [amount]"),
        ("十五块钱", "[金额]"),
    ] {
        assert_eq!(all.partial(text).text, expected, "{text}");
    }
    check("退我一百二十块", "退我一百二十块");
}

#[test]
fn quantities_are_none() {
    for text in [
        "一共一百二十块",
        "买了三个 500 克的",
        "下午三点十五分",
        "2026年11月26日",
        "2026-11-26 09:30",
        "价格是 1299.50 元",
        "等了 45 分钟",
        "百分之三十五",
        "one hundred and twenty dollars",
        "i waited 45 minutes",
        "the order number is 20231126001",
        "版本 10.2.3",
        "订单号二零二三一一二六零零一",
        "一二三四五六七的七",
        "it costs 1,299 dollars",
    ] {
        check(text, text);
    }
}

#[test]
fn years_and_names_of_things_at_the_end_are_none() {
    for text in [
        "we bought 14 of them in 2021",
        "i have been with you since 1998",
        "我从2019",
        "这台机器是二零一八",
        "我第一次买东西是在一九九八",
        "我坐的是G1234",
        "they put me on flight MU5107",
        "空调坏的是B-1203",
        "i was booked on AF 948",
        "客服让我拨95533",
        "i already called 311",
        "客服让我打400-700-1234",
        "the score is 64 to 92",
        "the warranty runs to 2018",
        "the last time it worked was 1994",
        "he came at seven thirty",
        "call me before 7:30",
        "the card ending in 8297",
        "尾号是8297",
    ] {
        check(text, text);
    }
    // What may be the beginning or the end of somebody's number is masked all the same.
    check("你打1998", "你打[号码]");
    check("2021", "[number]");
    check("电话是2021", "电话是[电话]");
    check("你记一下 138，还有2021", "你记一下 138，还有[号码]");
    let mut masker = masker();
    masker.finished("你记一下 138");
    assert_eq!(masker.finished("还有 2021").text, "还有 [号码]");
    check("船票 E23817465", "船票 E[号码]");
}

#[test]
fn what_grows_is_masked() {
    let mut masker = masker();
    let said: Vec<String> =
        ["我的电话是幺三八", "零零幺三", "八零零零", "谢谢"].map(|piece| masker.finished(piece).text).to_vec();
    assert_eq!(said, ["我的电话是[电话]", "[电话]", "[电话]", "谢谢"]);
    let masker = self::masker();
    assert_eq!(masker.partial("号码 1380").text, "号码 [号码]");
    let mut masker = self::masker();
    assert_eq!(masker.finished("我叫王").text, "我叫[姓名]");
    assert_eq!(masker.finished("小明").text, "[姓名]");
    let mut masker = self::masker();
    masker.finished("my name is john");
    assert_eq!(masker.finished("smith").text, "[name]");
}

#[test]
fn words_are_named_for_muting() {
    let masked = masker()
        .finished_words(["电话", "是", "幺", "三", "八", "零", "零", "幺", "三", "八", "零", "零", "零", "谢谢"]);
    assert_eq!(masked.text, "电话是[电话]谢谢");
    assert_eq!((masked.hits.len(), masked.hits[0].words.clone()), (1, 2..13));
    let masked = masker().finished_words(["call", "john.smith@gmail.com", "now"]);
    assert_eq!((masked.text.as_str(), masked.hits[0].words.clone()), ("call [email] now", 1..2));
}

#[test]
fn beside_a_mask_nothing_else_is_read_than_before_it_was_set() {
    for (said, shown) in [
        ("我叫验证码是一一", "我叫验证码是[验证码]"),
        ("电话０一一幺洞洞三路订单号 二0零洞零零零", "电话[电话]路订单号 二0零洞零零零"),
        ("三零三13800138000验证码", "三零三[电话]验证码"),
    ] {
        assert_eq!(masker().finished(said).text, shown);
        assert_eq!(masker().finished(shown).text, shown);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_text_is_masked_and_then_stays(text in hostile()) {
        let masked = masker().finished(&text);
        let mut at = 0;
        let mut rebuilt = String::new();
        for hit in &masked.hits {
            prop_assert!(at <= hit.bytes.start && hit.bytes.start < hit.bytes.end && hit.bytes.end <= text.len());
            rebuilt.push_str(&text[at..hit.bytes.start]);
            let masks = hit.class.masks();
            let mask = masks.iter().find(|mask| masked.text[rebuilt.len()..].starts_with(**mask));
            rebuilt.push_str(mask.expect("its mask stands there"));
            at = hit.bytes.end;
        }
        rebuilt.push_str(&text[at..]);
        prop_assert_eq!(&rebuilt, &masked.text);
        let again = masker().finished(&masked.text);
        prop_assert_eq!(again.text, masked.text);
    }

    #[test]
    fn a_planted_number_is_not_to_be_seen(
        before in "[a-z我的是，。 ]{0,12}", rest in "[3-9][0-9]{9}", gaps in prop::collection::vec("[ -]{0,2}|，|\u{200b}", 10),
        spoken in any::<bool>(), after in "[，。谢好] ?[a-z谢]{0,6}"
    ) {
        let secret = plant(&format!("1{rest}"), &gaps, spoken);
        let masked = masker().finished(&format!("{before}{secret}{after}")).text;
        prop_assert!(digits_of(&masked) < 3, "{masked}");
    }

    #[test]
    fn pieces_show_no_more_than_the_whole(rest in "[3-9][0-9]{9}", cuts in prop::collection::vec(0_usize..14, 0..6), spoken in any::<bool>()) {
        let secret = plant(&format!("1{rest}"), &vec![String::new(); 10], spoken);
        let text = format!("嗯{secret}好");
        let mut cuts: Vec<usize> = cuts;
        cuts.sort_unstable();
        let mut masker = masker();
        let mut shown = String::new();
        let characters: Vec<char> = text.chars().collect();
        let mut from = 0;
        for cut in cuts.into_iter().chain([characters.len()]) {
            let cut = cut.clamp(from, characters.len());
            let piece: String = characters[from..cut].iter().collect();
            shown += &masker.finished(&piece).text;
            from = cut;
        }
        prop_assert!(digits_of(&shown) < 3, "{shown}");
    }

    #[test]
    fn a_number_that_grows_is_never_shown(rest in "[3-9][0-9]{9}", spoken in any::<bool>()) {
        let secret = plant(&format!("1{rest}"), &vec![String::new(); 10], spoken);
        let masker = masker();
        let mut piece = String::new();
        for character in secret.chars() {
            piece.push(character);
            let shown = masker.partial(&piece).text;
            prop_assert!(digits_of(&shown) < 3, "{shown}");
        }
    }

    #[test]
    fn memory_has_a_bound(pieces in prop::collection::vec("(?s).{0,400}", 0..20)) {
        let mut masker = masker();
        for piece in pieces {
            masker.finished(&piece);
            prop_assert!(masker.before.len() <= REMEMBERED_BYTES_MAX);
        }
    }
}

#[test]
fn what_is_too_long_is_not_shown() {
    let text = format!("{} 13800138000", "啊".repeat(crate::numbers::token::TEXT_BYTES_MAX / 3 + 1));
    let masked = masker().finished(&text);
    assert!(masked.text.ends_with("[号码]") && !masked.text.contains('8'), "{} hits", masked.hits.len());
}

/// Text made to confuse: pieces of secrets, of what announces them, and anything.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "(?s).{0,6}",
        "[0-9零一二三幺洞０-９ .,，@+-]{0,14}",
        prop::sample::select(vec![
            "我叫",
            "王",
            "小明",
            "先生",
            "电话",
            "验证码",
            "身份证",
            "地址是",
            "号",
            "路",
            "栋",
            "单元",
            "粤B",
            "@",
            "艾特",
            "点com",
            " at ",
            " dot ",
            "com",
            " my name is ",
            " john ",
            " smith ",
            "one ",
            "double ",
            "hundred ",
            "street ",
            "订单号",
            "[电话]",
            "[name]",
            "[",
            "]",
            "x",
            "叉",
            "元",
            "百",
            "万",
            " code ",
            "plate ",
            "是",
            "吧",
            "就",
            "13800138000",
            "110101199003074519",
            "4111111111111111",
            "+86",
            ":",
            "mr ",
            "SW1A 1AA",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Digits with these gaps between them, written or spoken.
fn plant(digits: &str, gaps: &[String], spoken: bool) -> String {
    let characters: Vec<char> = "零幺二三四五六七八九".chars().collect();
    let said =
        digits.bytes().map(|digit| if spoken { characters[usize::from(digit - b'0')] } else { char::from(digit) });
    said.zip(gaps.iter().map(String::as_str).chain([""]))
        .fold(String::new(), |text, (digit, gap)| text + &digit.to_string() + gap)
}

/// How many digits a text shows.
fn digits_of(text: &str) -> usize {
    text.chars().filter(|character| character.is_ascii_digit() || "零幺二三四五六七八九".contains(*character)).count()
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let masked = masker().finished(text);
    assert_eq!(masked.text, expected);
    let again = masker().finished(&masked.text);
    assert_eq!(again.text, masked.text, "masked again");
}
