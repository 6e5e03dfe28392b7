//! Texts as words that are found again: without case, accents and other ways to write the same.

use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Longest word that is kept, in characters; longer ones are cut.
const MAX_WORD: usize = 40;
/// Most different words of one task.
const MAX_WORDS: usize = 1_000;
/// The most that one word can weigh.
const MAX_WEIGHT: i64 = 60;

/// What a word weighs by where it stands.
pub(crate) const TITLE: i64 = 8;
pub(crate) const TAG: i64 = 4;
pub(crate) const BODY: i64 = 2;
pub(crate) const COMMENT: i64 = 1;

/// Letters that have a plain form which no decomposition gives.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ł' => "l",
        'þ' => "th",
        'ħ' => "h",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}

/// Writing without spaces: words of it are found by pairs of neighbours.
fn is_unspaced(letter: char) -> bool {
    matches!(letter, '\u{2E80}'..='\u{2FDF}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Collects letters into words.
struct Cutter<F: FnMut(&str)> {
    word: String,
    letters: usize,
    before: Option<char>,
    lonely: bool,
    found: F,
}

impl<F: FnMut(&str)> Cutter<F> {
    fn letter(&mut self, letter: char) {
        self.end_unspaced();
        if self.letters < MAX_WORD {
            self.word.push(letter);
            self.letters += 1;
        }
    }

    fn unspaced(&mut self, letter: char) {
        self.end_word();
        match self.before.replace(letter) {
            Some(before) => {
                (self.found)(String::from_iter([before, letter]).as_str());
                self.lonely = false;
            }
            None => self.lonely = true,
        }
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            (self.found)(&self.word);
            self.word.clear();
            self.letters = 0;
        }
    }

    fn end_unspaced(&mut self) {
        if let Some(letter) = self.before.take().filter(|_| self.lonely) {
            (self.found)(letter.to_string().as_str());
        }
        self.lonely = false;
    }

    fn end(&mut self) {
        self.end_word();
        self.end_unspaced();
    }
}

/// Calls `found` with each word of `text` in its order.
fn each(text: &str, found: impl FnMut(&str)) {
    let mut cutter = Cutter {
        word: String::new(),
        letters: 0,
        before: None,
        lonely: false,
        found,
    };
    for letter in text.nfkd().filter(|letter| !is_combining_mark(*letter)) {
        if is_unspaced(letter) {
            cutter.unspaced(letter);
        } else if letter.is_alphanumeric() {
            for low in letter.to_lowercase().filter(|low| !is_combining_mark(*low)) {
                match plain(low) {
                    Some(plain) => plain.chars().for_each(|letter| cutter.letter(letter)),
                    None => cutter.letter(low),
                }
            }
        } else {
            cutter.end();
        }
    }
    cutter.end();
}

/// The words of a text in their order, the first `most` of them.
pub(crate) fn of(text: &str, most: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    each(text, |word| {
        if words.len() < most && !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    });
    words
}

/// The words of one task and what they weigh.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words(pub BTreeMap<String, i64>);

impl Words {
    /// Adds the words of a text.
    pub fn add(&mut self, text: &str, weight: i64) {
        each(text, |word| {
            let full = self.0.len() >= MAX_WORDS;
            match self.0.get_mut(word) {
                Some(sum) => *sum = (*sum + weight).min(MAX_WEIGHT),
                None if full => {}
                None => {
                    self.0.insert(word.to_owned(), weight);
                }
            }
        });
    }

    /// What the words of a search weigh here, the last one as the beginning of a word; none unless all are here.
    pub fn score(&self, terms: &[String]) -> Option<i64> {
        let (last, whole) = terms.split_last()?;
        let mut sum = 0;
        for term in whole {
            sum += self.0.get(term)?;
        }
        let begun = self
            .0
            .range(last.clone()..)
            .take_while(|(word, _)| word.starts_with(last.as_str()));
        let best = begun.map(|(word, weight)| begins(word, last, *weight)).max()?;
        Some(sum + best)
    }
}

/// What a word weighs that a search's last one begins: the word itself twice as much.
pub(crate) fn begins(word: &str, last: &str, weight: i64) -> i64 {
    if word == last { 2 * weight } else { weight }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_word_is_found_however_it_is_written() {
        for (written, sought) in [
            ("Café", "cafe"),
            ("Cafe\u{301}", "CAFÉ"),
            ("Straße", "STRASSE"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("ﬁsh", "fish"),
            ("Ｗｉｄｅ", "wide"),
            ("Łódź", "lodz"),
            ("İstanbul", "istanbul"),
            ("Ørsted Æther", "orsted aether"),
        ] {
            assert_eq!(of(written, 9), of(sought, 9), "{written}");
        }
    }

    #[test]
    fn words_end_at_what_is_no_letter() {
        assert_eq!(of("fix: API-v2 (100%_x)", 9), ["fix", "api", "v2", "100", "x"]);
        assert_eq!(
            of("東京タワー a 水", 9),
            ["東京", "京タ", "タワ", "ワー", "a", "水"]
        );
        assert!(of("?! — …", 9).is_empty());
        assert_eq!(of(&"x".repeat(100), 9)[0].len(), MAX_WORD);
        assert_eq!(of("a b a c", 2), ["a", "b"]);
    }

    #[test]
    fn all_words_must_be_there_and_the_last_may_be_begun() {
        let mut words = Words::default();
        words.add("Paint the fence", TITLE);
        words.add("with red paint", BODY);
        let score = |text: &str| words.score(&of(text, 9));
        assert_eq!(score("paint"), Some(20));
        assert_eq!(score("pai"), Some(10));
        assert_eq!(score("red fen"), Some(10));
        assert_eq!(score("fen red"), None, "only the last may be begun");
        assert_eq!(score("green"), None);
        assert_eq!(score(""), None);
    }

    #[test]
    fn a_task_has_only_so_many_words() {
        let mut words = Words::default();
        let text: Vec<String> = (0..5_000).map(|n| format!("w{n}")).collect();
        words.add(&text.join(" "), BODY);
        assert_eq!(words.0.len(), MAX_WORDS);
    }
}
