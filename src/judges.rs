//! What judges voices and words, as files: the models in use, the lexicons, and candidates to compare them with.

use nlu::text::TextReader;
use nlu::{AcousticModel, Candidate};

use crate::lexicons::ReaderFiles;
use crate::model::{ModelFiles, ModelKind};
use crate::settings::{ListeningSettings, TextModelChoice};

/// The files of everything that judges; none of them is loaded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgeFiles {
    /// `None`: what the settings name is wrong.
    acoustic: Option<ModelFiles>,
    reader: ReaderFiles,
    candidate_acoustic: Option<ModelFiles>,
    candidate_reader: Option<ReaderFiles>,
}

/// What was loaded of them.
#[derive(Debug, Default)]
pub struct Judges {
    /// Judges voices; `None`: signal processing alone does.
    pub acoustic: Option<AcousticModel>,
    /// Reads words.
    pub reader: TextReader,
    /// What is compared with both.
    pub candidate: Option<Candidate>,
    /// What could not be loaded, and why.
    pub missing: Vec<String>,
}

/// A key of `[listening]`, and what is wrong with its value.
pub type Wrong = (&'static str, String);

impl JudgeFiles {
    /// Reads what the settings name.
    ///
    /// # Errors
    /// The first key whose files cannot be read or are wrong.
    pub fn read(settings: &ListeningSettings) -> Result<Self, Wrong> {
        let (files, wrong) = Self::read_some(settings)?;
        wrong.into_iter().next().map_or(Ok(files), Err)
    }

    /// Reads what the settings name, leaves out the models that are wrong, and says which: a server listens without them.
    ///
    /// # Errors
    /// When lexicons are wrong.
    pub fn read_some(settings: &ListeningSettings) -> Result<(Self, Vec<Wrong>), Wrong> {
        let ListeningSettings {
            runtime,
            model,
            sound,
            lexicons,
            text_model,
            shadow_model,
            shadow_text_model,
            trusted,
            ..
        } = settings;
        let runtime = runtime.as_deref();
        let reader = |choice: &TextModelChoice| ReaderFiles::read(runtime, lexicons, choice, trusted);
        let lexicons_alone = reader(&TextModelChoice::None).map_err(|why| ("lexicons", why))?;
        let mut wrong = Vec::new();
        let acoustic = ModelFiles::read(model.as_deref(), runtime, trusted);
        let text = reader(text_model);
        let shadow = shadow_model.as_deref().map(|path| ModelFiles::read(Some(path), runtime, trusted)).transpose();
        let shadow_text = shadow_text_model.clone().map(|path| reader(&TextModelChoice::Own(path))).transpose();
        let files = Self {
            acoustic: acoustic.map(|files| files.hearing_sound(*sound)).map_err(|why| wrong.push(("model", why))).ok(),
            reader: text.map_err(|why| wrong.push(("text_model", why))).unwrap_or(lexicons_alone),
            candidate_acoustic: shadow.map_err(|why| wrong.push(("shadow_model", why))).ok().flatten(),
            candidate_reader: shadow_text.map_err(|why| wrong.push(("shadow_text_model", why))).ok().flatten(),
        };
        Ok((files, wrong))
    }

    /// The shipped lexicons, and no model.
    #[cfg(test)]
    pub(crate) fn without_models() -> Self {
        let reader = ReaderFiles::read(None, &[], &TextModelChoice::None, &crate::signed::Trust::anybody())
            .expect("the shipped lexicons");
        Self { acoustic: None, reader, candidate_acoustic: None, candidate_reader: None }
    }

    /// Loads every model that is an operator's own and lets go of it again.
    ///
    /// # Errors
    /// The first key whose model is refused.
    pub fn try_all(&self) -> Result<(), Wrong> {
        let acoustic = |files: &ModelFiles| files.try_as(ModelKind::Acoustic);
        self.acoustic.as_ref().map_or(Ok(()), acoustic).map_err(|why| ("model", why))?;
        self.reader.try_model().map_err(|why| ("text_model", why))?;
        self.candidate_acoustic.as_ref().map_or(Ok(()), acoustic).map_err(|why| ("shadow_model", why))?;
        let candidate = self.candidate_reader.as_ref();
        candidate.map_or(Ok(()), ReaderFiles::try_model).map_err(|why| ("shadow_text_model", why))
    }

    /// Words of all lexicons, negations included.
    pub fn words(&self) -> usize {
        self.reader.words()
    }

    /// The model that judges voices, alone.
    ///
    /// # Errors
    /// Why there is none: voices are judged by signal processing only then.
    pub fn load_acoustic(&self) -> Result<AcousticModel, String> {
        self.acoustic.as_ref().ok_or_else(|| "its files are wrong".to_owned())?.load()
    }

    /// Loads all of them; what cannot be loaded is left out. Takes some tenths of a second.
    pub fn load(&self) -> Judges {
        let mut missing = Vec::new();
        let without = |why| format!("no acoustic model, voices are judged by signal processing only: {why}");
        let acoustic = self.load_acoustic().map_err(|why| missing.push(without(why))).ok();
        let (reader, why) = self.reader.load();
        missing.extend(why.map(|why| format!("no text model, words are read by lexicons only: {why}")));
        let mut candidate = Candidate::default();
        if let Some(files) = &self.candidate_acoustic {
            candidate.model =
                files.load().map_err(|why| missing.push(format!("no candidate for the voice: {why}"))).ok();
        }
        if let Some(files) = &self.candidate_reader {
            let (reader, why) = files.load();
            missing.extend(why.iter().map(|why| format!("no candidate for words: {why}")));
            candidate.reader = why.is_none().then_some(reader);
        }
        let is_there = candidate.model.is_some() || candidate.reader.is_some();
        Judges { acoustic, reader, candidate: is_there.then_some(candidate), missing }
    }
}
