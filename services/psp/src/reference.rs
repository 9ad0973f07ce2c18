//! References: the names by which the caller knows its charges and refunds.

use serde::{Deserialize, Serialize};

/// The longest reference or card token, in characters.
pub const LENGTH_MAX: usize = 64;

/// Text that cannot be a reference or a card token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {LENGTH_MAX} printable ASCII characters without spaces")]
pub struct InvalidText;

/// The caller's name for one charge or one refund: 1 to 64 printable ASCII characters without spaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Reference(String);

impl TryFrom<String> for Reference {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        printable_word(text).map(Self)
    }
}

/// Gives the text back if it is short and printable.
pub(crate) fn printable_word(text: String) -> Result<String, InvalidText> {
    let right = (1..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if right { Ok(text) } else { Err(InvalidText) }
}
