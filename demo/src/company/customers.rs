//! The sample company's customers. Every firm is invented. The numbers belong to nobody: British and American
//! ones are of the ranges kept for fiction; Poland and Israel keep none, so theirs go on with a zero where no
//! exchange's numbers do.

/// A customer and all the company knows about it.
#[derive(Debug)]
pub struct Sample {
    /// The key in all four systems.
    pub id: &'static str,
    /// As in the directory.
    pub name: &'static str,
    /// As a phone system sends it.
    pub e164: &'static str,
    /// `VIP`, another word, or nothing.
    pub class: &'static str,
    /// The city.
    pub place: &'static str,
    /// The first name of the colleague who looks after it.
    pub account_manager: &'static str,
    /// Of all amounts.
    pub currency: &'static str,
    /// What accounting says.
    pub account: Account,
    /// What credit control says.
    pub terms: Terms,
    /// What was bought lately, newest first.
    pub sales: &'static [Sale],
}

/// What accounting says. Positive: the customer owes the company.
#[derive(Debug)]
pub struct Account {
    /// All that is open.
    pub amount: &'static str,
    /// The part past its due date.
    pub overdue: &'static str,
    /// How long ago the oldest overdue invoice was due.
    pub oldest_due_days_ago: Option<i32>,
    /// How the accounting service answers for this customer.
    pub service: Service,
}

/// How the accounting service answers for one customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// At once.
    Normal,
    /// After [`super::accounting::SLOW`].
    Slow,
    /// With 503.
    Down,
}

/// What credit control says.
#[derive(Debug)]
pub struct Terms {
    /// The most the customer may owe.
    pub limit: &'static str,
    /// What is left of it.
    pub available: &'static str,
    /// Days until an invoice is due.
    pub days: &'static str,
    /// Sales on credit are stopped.
    pub hold: bool,
    /// In a few words.
    pub note: &'static str,
}

/// One line of a sale.
#[derive(Debug)]
pub struct Sale {
    /// Before the day the company is written on.
    pub days_ago: i32,
    /// What.
    pub product: &'static str,
    /// How many.
    pub quantity: &'static str,
    /// For how much in all.
    pub amount: &'static str,
}

const fn sale(days_ago: i32, product: &'static str, quantity: &'static str, amount: &'static str) -> Sale {
    Sale { days_ago, product, quantity, amount }
}

/// All customers, in the order of the directory.
pub const ALL: &[&Sample] = &[
    &ZOLKIEWSKI,
    &LEVI,
    &POD_DEBEM,
    &HARBOUR_STREET,
    &POD_JAWOREM,
    &JAWOROWA,
    &SHAKED,
    &CORNER_OVEN,
    &HAGEFEN,
];

/// The customer's numbers as the directory writes them: by hand, by several people, so not alike.
pub fn numbers(id: &str) -> impl Iterator<Item = &'static str> {
    WRITTEN.iter().filter(move |(of, _)| *of == id).map(|(_, number)| *number)
}

const WRITTEN: &[(&str, &str)] = &[
    ("K-1001", "+48 22 000 01 01"),
    ("K-1001", "(22) 000-01-11"),
    ("K-1002", "+972 3-000-0102"),
    ("K-1003", "12 000 01 03"),
    ("K-1004", "+44 20 7946 0104"),
    ("K-1005", "0048 61 000 01 05"),
    ("K-1006", "+48 61 000 01 05"),
    ("K-1007", "00972-4-000-0107"),
    ("K-1008", "+1 (617) 555-0108"),
    ("K-1009", "+972 2 000 0109"),
];

/// A good customer with a little overdue.
pub const ZOLKIEWSKI: Sample = Sample {
    id: "K-1001",
    name: "Piekarnia Żółkiewski",
    e164: "+48220000101",
    class: "VIP",
    place: "Warszawa",
    account_manager: "Hanna",
    currency: "PLN",
    account: Account {
        amount: "1250.50",
        overdue: "300.00",
        oldest_due_days_ago: Some(12),
        service: Service::Normal,
    },
    terms: Terms {
        limit: "10000.00",
        available: "8749.50",
        days: "30",
        hold: false,
        note: "Rabat 5% powyżej 40 worków",
    },
    sales: &[
        sale(3, "Mąka pszenna typ 550, worek 25 kg", "20", "1180.00"),
        sale(3, "Drożdże świeże, 10 kg", "2", "70.50"),
        sale(10, "Mąka żytnia typ 720, worek 25 kg", "12", "660.00"),
        sale(17, "Mąka pszenna typ 550, worek 25 kg", "24", "1416.00"),
        sale(31, "Mak niebieski, 5 kg", "4", "312.00"),
        sale(45, "Papier do pieczenia, 500 arkuszy", "3", "267.00"),
        sale(59, "Mąka pszenna typ 550, worek 25 kg", "22", "1298.00"),
    ],
};

/// A regular customer, nothing overdue, everything in Hebrew.
pub const LEVI: Sample = Sample {
    id: "K-1002",
    name: "מאפיית לוי",
    e164: "+97230000102",
    class: "Regular",
    place: "תל אביב",
    account_manager: "Oren",
    currency: "ILS",
    account: Account {
        amount: "8420.00",
        overdue: "0.00",
        oldest_due_days_ago: None,
        service: Service::Normal,
    },
    terms: Terms {
        limit: "20000.00",
        available: "11580.00",
        days: "60",
        hold: false,
        note: "שוטף + 60, אספקה בימי ראשון ורביעי",
    },
    sales: &[
        sale(2, "קמח לחם 25 ק\"ג", "40", "5200.00"),
        sale(9, "שמרים טריים 1 ק\"ג", "30", "720.00"),
        sale(9, "שומשום מלא 10 ק\"ג", "5", "1150.00"),
        sale(23, "קמח כוסמין 25 ק\"ג", "10", "1900.00"),
        sale(37, "קמח לחם 25 ק\"ג", "36", "4680.00"),
        sale(51, "סוכר דק 10 ק\"ג", "8", "640.00"),
    ],
};

/// The one for whom accounting answers late.
pub const POD_DEBEM: Sample = Sample {
    id: "K-1003",
    name: "Cukiernia Pod Dębem",
    e164: "+48120000103",
    class: "Regular",
    place: "Kraków",
    account_manager: "Hanna",
    currency: "PLN",
    account: Account { amount: "640.20", overdue: "0.00", oldest_due_days_ago: None, service: Service::Slow },
    terms: Terms { limit: "4000.00", available: "3359.80", days: "14", hold: false, note: "" },
    sales: &[
        sale(6, "Czekolada deserowa 54%, 5 kg", "4", "640.20"),
        sale(20, "Masło 82%, blok 10 kg", "3", "1140.00"),
        sale(34, "Cukier puder, worek 10 kg", "6", "330.00"),
        sale(48, "Żelatyna wieprzowa, 1 kg", "5", "245.00"),
        sale(70, "Czekolada biała, 5 kg", "2", "356.00"),
    ],
};

/// On credit hold, with a large sum long overdue.
pub const HARBOUR_STREET: Sample = Sample {
    id: "K-1004",
    name: "Harbour Street Bakery",
    e164: "+442079460104",
    class: "Regular",
    place: "London",
    account_manager: "Beth",
    currency: "GBP",
    account: Account {
        amount: "3104.25",
        overdue: "2310.75",
        oldest_due_days_ago: Some(47),
        service: Service::Normal,
    },
    terms: Terms {
        limit: "3000.00",
        available: "0.00",
        days: "30",
        hold: true,
        note: "Cash only until the March invoice is paid; promised twice",
    },
    sales: &[
        sale(19, "Strong white flour, 16 kg", "30", "495.00"),
        sale(19, "Dried yeast, 500 g", "20", "98.50"),
        sale(41, "Malted grain flour, 16 kg", "25", "512.50"),
        sale(62, "Strong white flour, 16 kg", "60", "990.00"),
        sale(84, "Proving baskets, 1 kg round", "40", "308.25"),
        sale(105, "Rye flour, 16 kg", "35", "700.00"),
    ],
};

/// The bakery of a couple; the café has the same number.
pub const POD_JAWOREM: Sample = Sample {
    id: "K-1005",
    name: "Piekarnia Pod Jaworem",
    e164: "+48610000105",
    class: "Regular",
    place: "Poznań",
    account_manager: "Hanna",
    currency: "PLN",
    account: Account {
        amount: "2210.00",
        overdue: "0.00",
        oldest_due_days_ago: None,
        service: Service::Normal,
    },
    terms: Terms { limit: "6000.00", available: "3790.00", days: "21", hold: false, note: "" },
    sales: &[
        sale(5, "Mąka pszenna typ 650, worek 25 kg", "26", "1560.00"),
        sale(5, "Słonecznik łuskany, 10 kg", "5", "650.00"),
        sale(19, "Mąka orkiszowa typ 700, worek 25 kg", "6", "690.00"),
        sale(33, "Mąka pszenna typ 650, worek 25 kg", "24", "1440.00"),
        sale(47, "Sól kamienna, worek 25 kg", "4", "92.00"),
    ],
};

/// The couple's café.
pub const JAWOROWA: Sample = Sample {
    id: "K-1006",
    name: "Kawiarnia Jaworowa",
    e164: "+48610000105",
    class: "New",
    place: "Poznań",
    account_manager: "Hanna",
    currency: "PLN",
    account: Account {
        amount: "184.90",
        overdue: "184.90",
        oldest_due_days_ago: Some(3),
        service: Service::Normal,
    },
    terms: Terms { limit: "1000.00", available: "815.10", days: "7", hold: false, note: "Nowy klient" },
    sales: &[
        sale(10, "Kakao 22%, 1 kg", "3", "184.90"),
        sale(25, "Cukier trzcinowy, 5 kg", "4", "148.00"),
        sale(38, "Syrop waniliowy, 1 l", "6", "210.00"),
        sale(52, "Serwetki, 1000 szt.", "5", "115.00"),
        sale(66, "Kakao 22%, 1 kg", "2", "123.20"),
    ],
};

/// Has paid more than it owes.
pub const SHAKED: Sample = Sample {
    id: "K-1007",
    name: "קונדיטוריית שקד",
    e164: "+97240000107",
    class: "VIP",
    place: "חיפה",
    account_manager: "Oren",
    currency: "ILS",
    account: Account {
        amount: "-540.00",
        overdue: "0.00",
        oldest_due_days_ago: None,
        service: Service::Normal,
    },
    terms: Terms {
        limit: "15000.00",
        available: "15540.00",
        days: "45",
        hold: false,
        note: "זיכוי על 6 שקים שהוחזרו",
    },
    sales: &[
        sale(4, "שקדים טחונים 5 ק\"ג", "8", "2320.00"),
        sale(18, "קמח עוגות 25 ק\"ג", "14", "1680.00"),
        sale(18, "חמאה 10 ק\"ג", "4", "1560.00"),
        sale(32, "שוקולד מריר 5 ק\"ג", "6", "1470.00"),
        sale(46, "תמצית וניל 1 ליטר", "3", "405.00"),
        sale(74, "שקדים טחונים 5 ק\"ג", "10", "2900.00"),
        sale(102, "אבקת סוכר 10 ק\"ג", "6", "510.00"),
    ],
};

/// The one for whom accounting is down.
pub const CORNER_OVEN: Sample = Sample {
    id: "K-1008",
    name: "Corner Oven",
    e164: "+16175550108",
    class: "Regular",
    place: "Boston",
    account_manager: "Beth",
    currency: "USD",
    account: Account { amount: "912.00", overdue: "0.00", oldest_due_days_ago: None, service: Service::Down },
    terms: Terms { limit: "5000.00", available: "4088.00", days: "30", hold: false, note: "" },
    sales: &[
        sale(8, "Bread flour, 50 lb", "24", "624.00"),
        sale(8, "Sea salt, 10 lb", "12", "288.00"),
        sale(29, "Whole wheat flour, 50 lb", "16", "448.00"),
        sale(50, "Bread flour, 50 lb", "30", "780.00"),
        sale(71, "Parchment liners, 1000 sheets", "2", "118.00"),
        sale(93, "Instant yeast, 1 lb", "20", "139.80"),
    ],
};

/// One more that is simply in order.
pub const HAGEFEN: Sample = Sample {
    id: "K-1009",
    name: "בית קפה הגפן",
    e164: "+97220000109",
    class: "",
    place: "ירושלים",
    account_manager: "Oren",
    currency: "ILS",
    account: Account {
        amount: "1310.00",
        overdue: "0.00",
        oldest_due_days_ago: None,
        service: Service::Normal,
    },
    terms: Terms { limit: "5000.00", available: "3690.00", days: "30", hold: false, note: "" },
    sales: &[
        sale(7, "קמח מלא 25 ק\"ג", "6", "840.00"),
        sale(7, "דבש 5 ק\"ג", "2", "470.00"),
        sale(28, "קמח לחם 25 ק\"ג", "8", "1040.00"),
        sale(49, "צימוקים 5 ק\"ג", "4", "380.00"),
        sale(77, "קינמון טחון 1 ק\"ג", "2", "150.00"),
    ],
};

#[cfg(test)]
mod tests {
    use pinkas_protocol::{Number, NumberPlan};
    use rust_decimal::Decimal;

    use super::*;

    #[test]
    fn every_number_is_read_from_the_directory_as_the_phone_system_sends_it() {
        let plan = NumberPlan::new("PL", 4).expect("a known country");
        for sample in ALL {
            let sent = Number::E164 { e164: sample.e164.to_owned() };
            assert_eq!(plan.read(sample.e164), Some(sent.clone()), "{}", sample.id);
            let first = numbers(sample.id).next().expect("a number");
            assert_eq!(plan.read(first), Some(sent), "{first}");
        }
    }

    #[test]
    fn the_figures_agree_with_each_other() {
        let money = |text: &str| text.parse::<Decimal>().expect("an amount");
        for sample in ALL {
            let left = money(sample.terms.limit) - money(sample.account.amount);
            assert_eq!(money(sample.terms.available), left.max(Decimal::ZERO), "{}", sample.id);
            assert!(money(sample.account.overdue) <= money(sample.account.amount).max(Decimal::ZERO));
            assert_eq!(
                money(sample.account.overdue) > Decimal::ZERO,
                sample.account.oldest_due_days_ago.is_some()
            );
            assert!((5..=8).contains(&sample.sales.len()), "{}", sample.id);
            assert!(sample.sales.is_sorted_by_key(|sale| sale.days_ago), "newest first: {}", sample.id);
        }
        assert_eq!(POD_JAWOREM.e164, JAWOROWA.e164);
    }
}
