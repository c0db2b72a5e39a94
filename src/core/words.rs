//! Owns: enums whose variants are words of the config: each word stands once, for the table of keys, the reader, and all that
//! says it.
//! Does not: know any of them.

/// Declares an enum with its words: `WORDS` in order, `parse` and `word`.
macro_rules! words {
    ($(#[$about:meta])* $vis:vis enum $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        $vis enum $name {
            $(#[doc = concat!("`", $word, "`.")] $(#[$of])* $variant,)+
        }

        impl $name {
            /// In the order in which they are listed to people.
            $vis const WORDS: &'static [&'static str] = &[$($word),+];

            pub(crate) fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// As the config writes it.
            $vis const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

pub(crate) use words;
