//! The kinds of personal data, and what stands in their place.

use std::collections::BTreeSet;

/// A kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A name of a person.
    Name,
    /// A phone number of any kind.
    Phone,
    /// The number of an identity card, a passport or the like.
    IdCard,
    /// The number of a bank card or account.
    BankCard,
    /// Where somebody lives or works, by street or house.
    Address,
    /// A vehicle's plate.
    Plate,
    /// An e-mail address.
    Email,
    /// A one-time code, a PIN or a password of digits.
    Code,
    /// A sum of money.
    Amount,
    /// Digits that may become one of the others.
    Number,
}

impl Class {
    /// All kinds.
    pub const ALL: [Class; 10] = [
        Class::Name,
        Class::Phone,
        Class::IdCard,
        Class::BankCard,
        Class::Address,
        Class::Plate,
        Class::Email,
        Class::Code,
        Class::Amount,
        Class::Number,
    ];

    /// Its name in configuration and tables.
    pub fn name(self) -> &'static str {
        match self {
            Class::Name => "name",
            Class::Phone => "phone",
            Class::IdCard => "id_card",
            Class::BankCard => "bank_card",
            Class::Address => "address",
            Class::Plate => "plate",
            Class::Email => "email",
            Class::Code => "code",
            Class::Amount => "amount",
            Class::Number => "number",
        }
    }

    /// The kind of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// All kinds but amounts: what is masked where nothing else is asked for.
    pub fn usual() -> BTreeSet<Class> {
        Self::ALL.into_iter().filter(|&class| class != Class::Amount).collect()
    }

    /// What stands in its place, in Mandarin and in English.
    pub fn masks(self) -> [&'static str; 2] {
        match self {
            Class::Name => ["[姓名]", "[name]"],
            Class::Phone => ["[电话]", "[phone]"],
            Class::IdCard => ["[身份证]", "[id]"],
            Class::BankCard => ["[银行卡]", "[card]"],
            Class::Address => ["[地址]", "[address]"],
            Class::Plate => ["[车牌]", "[plate]"],
            Class::Email => ["[邮箱]", "[email]"],
            Class::Code => ["[验证码]", "[code]"],
            Class::Amount => ["[金额]", "[amount]"],
            Class::Number => ["[号码]", "[number]"],
        }
    }
}
