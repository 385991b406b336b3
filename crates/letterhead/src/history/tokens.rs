//! How many tokens a text is, about.
//!
//! Each provider counts differently, and none of their tables is small. What is needed here is only to know when a
//! conversation is long, so bytes are counted, each by its kind. Prose, source code and JSON come out as OpenAI's tokenizers
//! count them, give or take a fifth; other scripts at about what that of 2023 says (from half to one and a tenth of it), which
//! is more than that of 2024 (one and a fifth, and up to three times for Hindi and Thai). Digits without any sense, such as
//! hashes, are underestimated. The tests have the figures.

/// Quarters of a token that a byte of UTF-8 stands for. The first byte of a character stands for the whole of it.
fn quarters_of(byte: u8) -> u64 {
    match byte {
        // Words: four letters and a little more are a token.
        b'a'..=b'z' | b'A'..=b'Z' | b' ' | b'\n' | b'\r' | b'\t' => 1,
        // Digits, punctuation, brackets.
        0x00..=0x7f => 2,
        0x80..=0xbf => 0,
        // Latin with marks, Greek, Cyrillic, Hebrew, Arabic.
        0xc0..=0xdf => 2,
        // Chinese, Japanese, Korean, Thai, the scripts of India.
        0xe0..=0xef => 4,
        // Emoji and rare characters.
        0xf0..=0xff => 8,
    }
}

/// About as many tokens as a text has.
pub(super) fn of(text: &str) -> u64 {
    text.bytes().map(quarters_of).sum::<u64>().div_ceil(4)
}

/// The longest beginning of a text that is no more than so many tokens.
pub(super) fn start(text: &str, tokens: u64) -> &str {
    let end = reach(text.char_indices().map(|(at, c)| (at + c.len_utf8(), c)), tokens);
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// The longest end of a text that is no more than so many tokens.
pub(super) fn end(text: &str, tokens: u64) -> &str {
    let start = reach(text.char_indices().rev(), tokens);
    text.get(start.unwrap_or(text.len())..).unwrap_or_default()
}

/// The last of the places that is still within so many tokens.
fn reach(characters: impl Iterator<Item = (usize, char)>, tokens: u64) -> Option<usize> {
    let mut quarters = 0;
    let mut reached = None;
    for (at, c) in characters {
        let mut bytes = [0; 4];
        quarters += c.encode_utf8(&mut bytes).bytes().map(quarters_of).sum::<u64>();
        if quarters > tokens.saturating_mul(4) {
            break;
        }
        reached = Some(at);
    }
    reached
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts, and how many tokens OpenAI's `o200k_base` (2024) and `cl100k_base` (2023) make of them.
    const COUNTED: [(&str, u64, u64, &str); 14] = [
        (
            "prose",
            68,
            68,
            "A letterhead says, before the first word of a letter, who is writing and for whom. The customer wrote on Tuesday that her parcel had not come; we looked it up, and it had been left with a neighbour whose name she did not know. She asks for her money back, and would like to be told by telephone.",
        ),
        (
            "code",
            94,
            94,
            "pub fn total(orders: &[Order], rate: f64) -> Result<u64, Fault> {\n    let mut sum = 0_u64;\n    for order in orders.iter().filter(|order| !order.is_cancelled()) {\n        sum = sum.checked_add(order.price_in_cents).ok_or(Fault::TooMuch)?;\n    }\n    Ok((sum as f64 * (1.0 + rate)).round() as u64)\n}\n",
        ),
        (
            "json",
            128,
            125,
            r#"{"orders":[{"id":"ord_8f3c21","placed_at":"2026-11-03T09:41:27Z","total":129.95,"currency":"EUR","items":[{"sku":"TB-4471","count":2},{"sku":"TB-9920","count":1}],"address":{"city":"Leipzig","postcode":"04109"}},{"id":"ord_77ab09","placed_at":"2026-10-19T17:05:00Z","total":18.5,"currency":"EUR","items":[],"address":null}],"next":null}"#,
        ),
        (
            "russian",
            51,
            81,
            "Покупательница написала во вторник, что посылка не пришла. Мы проверили: её оставили у соседа, имени которого она не знает. Она просит вернуть деньги и хотела бы, чтобы ей позвонили.",
        ),
        (
            "chinese",
            48,
            72,
            "顾客星期二来信说包裹没有送到。我们查了一下，包裹留给了一位邻居，她不知道那位邻居的名字。她要求退款，并希望我们打电话告诉她。",
        ),
        (
            "japanese",
            57,
            86,
            "お客様から火曜日に、荷物が届いていないという連絡がありました。調べたところ、名前を知らない隣人に預けられていました。返金を希望され、電話での連絡を望んでいます。",
        ),
        (
            "korean",
            50,
            86,
            "고객이 화요일에 소포가 오지 않았다고 편지를 보냈습니다. 확인해 보니 이름을 모르는 이웃에게 맡겨져 있었습니다. 고객은 환불을 원하며 전화로 알려 주기를 바랍니다.",
        ),
        (
            "arabic",
            45,
            102,
            "كتبت العميلة يوم الثلاثاء أن الطرد لم يصل. بحثنا عنه ووجدنا أنه تُرك عند جار لا تعرف اسمه. إنها تطلب استرداد مالها وتود أن نتصل بها هاتفياً.",
        ),
        (
            "hindi",
            55,
            188,
            "ग्राहक ने मंगलवार को लिखा कि उसका पार्सल नहीं आया। हमने पता लगाया कि वह एक पड़ोसी के पास छोड़ा गया था जिसका नाम वह नहीं जानती। वह अपना पैसा वापस चाहती है और चाहती है कि उसे फ़ोन किया जाए।",
        ),
        (
            "thai",
            56,
            126,
            "ลูกค้าเขียนมาเมื่อวันอังคารว่าพัสดุยังไม่ถึง เราตรวจสอบแล้วพบว่าฝากไว้กับเพื่อนบ้านที่เธอไม่รู้จักชื่อ เธอขอเงินคืนและอยากให้โทรศัพท์แจ้ง",
        ),
        (
            "greek",
            50,
            116,
            "Η πελάτισσα έγραψε την Τρίτη ότι το δέμα της δεν ήρθε. Το αναζητήσαμε και το είχαν αφήσει σε έναν γείτονα που δεν ξέρει το όνομά του.",
        ),
        (
            "german",
            46,
            57,
            "Die Kundin schrieb am Dienstag, dass ihr Paket nicht angekommen sei. Wir haben nachgesehen: Es wurde bei einem Nachbarn abgegeben, dessen Namen sie nicht kennt. Sie möchte ihr Geld zurück und wünscht einen Anruf.",
        ),
        ("emoji", 16, 31, "🎉📦🚚😀👍🏽🙏❤️🔥✨🥳"),
        ("hex", 43, 43, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    ];

    #[test]
    fn the_estimate_is_near_to_what_tokenizers_say() {
        for (name, of_2024, of_2023, text) in COUNTED {
            let estimate = of(text);
            let least = of_2024.min(of_2023);
            assert!(estimate * 5 >= least * 3, "{name}: {estimate} is much less than {least}");
            assert!(estimate * 2 >= of_2023, "{name}: {estimate} is less than half of {of_2023}");
            assert!(estimate <= of_2024 * 3, "{name}: {estimate} is more than three times {of_2024}");
        }
        for (name, of_2024, _, text) in
            COUNTED.into_iter().filter(|(name, ..)| ["prose", "code", "json"].contains(name))
        {
            let estimate = of(text);
            assert!(estimate * 10 >= of_2024 * 9 && estimate * 10 <= of_2024 * 12, "{name}: {estimate}, {of_2024}");
        }
    }

    proptest! {
        #[test]
        fn beginning_and_end_are_as_long_as_they_may_be(text in ".{0,200}", tokens in 0_u64..60) {
            for part in [start(&text, tokens), end(&text, tokens)] {
                prop_assert!(of(part) <= tokens);
                // One more character would be too much.
                prop_assert!(part == text || of(part) + 2 >= tokens);
            }
            prop_assert!(text.starts_with(start(&text, tokens)));
            prop_assert!(text.ends_with(end(&text, tokens)));
        }

        #[test]
        fn parts_are_no_less_than_the_whole(text in ".{0,200}", at in any::<prop::sample::Index>()) {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let (first, second) = text.split_at(*at.get(&places));
            prop_assert!(of(first) + of(second) >= of(&text));
            prop_assert!(of(first) + of(second) <= of(&text) + 1);
        }
    }
}
