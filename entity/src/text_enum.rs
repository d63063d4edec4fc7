//! Writes the enums that a text column holds: one spelling in Rust, in the tables, in JSON and on the command line.

/// Declares an enum whose variants are stored as the text beside them.
///
/// Besides the sea-orm and serde derives each enum gets `ALL`, `as_str`, `Display` and `FromStr`, all with that text.
/// A row that holds any other text does not read back: sea-orm answers with an error, never with a default.
macro_rules! text_enum {
    (
        $(#[$outer:meta])*
        pub enum $name:ident { $( $(#[$inner:meta])* $variant:ident = $text:literal, )+ }
    ) => {
        $(#[$outer])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
            sea_orm::EnumIter, sea_orm::DeriveActiveEnum, serde::Serialize, serde::Deserialize,
        )]
        #[sea_orm(rs_type = "String", db_type = "Text")]
        pub enum $name {
            $( $(#[$inner])* #[sea_orm(string_value = $text)] #[serde(rename = $text)] $variant, )+
        }

        impl $name {
            /// Every value, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The text that stands in the table.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownText;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $( $text => Ok(Self::$variant), )+
                    _ => Err($crate::UnknownText { of: stringify!($name) }),
                }
            }
        }
    };
}

pub(crate) use text_enum;

/// A text that names no value of the enum `of`. It does not repeat the text, which came from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownText {
    /// The enum's name.
    pub of: &'static str,
}

impl std::fmt::Display for UnknownText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not one of the known values of {}", self.of)
    }
}

impl std::error::Error for UnknownText {}
