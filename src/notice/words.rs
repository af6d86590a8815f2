//! Which notices have words of parties in them: one rule for whatever keeps, shows or forgets notices.

use super::What;

impl What {
    /// Whether words of a party, or what was read of them, stand in it: nobody may have it once consent is refused.
    pub fn has_words(&self) -> bool {
        // Steps with words name those that a lexicon has; suggestions tell what they answer.
        matches!(self, What::Said { .. } | What::AnswersSuggested(_) | What::Observed { words: Some(_), .. })
    }
}
