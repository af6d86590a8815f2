//! The pocketsphinx library, loaded at run time: every unsafe call of the recogniser is in this file.
//!
//! Expects the interface of pocketsphinx 5prealpha (`libpocketsphinx.so.3`, Debian's `libpocketsphinx3`). Nothing here
//! decides anything: [`Decoder`] turns the C functions into safe ones.
#![expect(unsafe_code, reason = "a C library is called")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::OnceLock;

use libloading::Library;

/// What the loader is asked for when no path is configured.
pub const LIBRARY_NAME: &str = "libpocketsphinx.so.3";
/// The library beneath it, for logging and configuration.
const BASE_NAME: &str = "libsphinxbase.so.3";
/// Units of one hypothesis that are read; an utterance of 15 s has far fewer.
const UNITS_MAX: usize = 4_096;

/// Loaded once for the process: a library that stays loaded cannot be pulled away under a decoder.
static LOADED: OnceLock<Result<Functions, String>> = OnceLock::new();

/// What has been decoded in a stretch of frames: one dictionary entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The entry, with its alternative's number, e.g. `p3u1(2)`.
    pub entry: String,
    /// First and last frame of 10 ms.
    pub frames: (usize, usize),
    /// Acoustic score, logarithmic: 0 is the best there can be.
    pub score: i64,
}

type Opaque = c_void;
type Parse = unsafe extern "C" fn(*mut Opaque, *const Opaque, c_int, *const *mut c_char, c_int) -> *mut Opaque;
type ProcessRaw = unsafe extern "C" fn(*mut Opaque, *const i16, usize, c_int, c_int) -> c_int;
type AddWord = unsafe extern "C" fn(*mut Opaque, *const c_char, *const c_char, c_int) -> c_int;
type SetText = unsafe extern "C" fn(*mut Opaque, *const c_char, *const c_char) -> c_int;
type SegmentProbability = unsafe extern "C" fn(*mut Opaque, *mut i32, *mut i32, *mut i32) -> i32;

/// The functions that are called, and the libraries that keep them in place.
struct Functions {
    _library: Library,
    _base: Library,
    parse: Parse,
    free_settings: unsafe extern "C" fn(*mut Opaque) -> c_int,
    arguments: unsafe extern "C" fn() -> *const Opaque,
    init: unsafe extern "C" fn(*mut Opaque) -> *mut Opaque,
    free: unsafe extern "C" fn(*mut Opaque) -> c_int,
    add_word: AddWord,
    set_grammar: SetText,
    set_search: unsafe extern "C" fn(*mut Opaque, *const c_char) -> c_int,
    start_stream: unsafe extern "C" fn(*mut Opaque) -> c_int,
    start_utterance: unsafe extern "C" fn(*mut Opaque) -> c_int,
    end_utterance: unsafe extern "C" fn(*mut Opaque) -> c_int,
    process: ProcessRaw,
    segments: unsafe extern "C" fn(*mut Opaque) -> *mut Opaque,
    next_segment: unsafe extern "C" fn(*mut Opaque) -> *mut Opaque,
    segment_word: unsafe extern "C" fn(*mut Opaque) -> *const c_char,
    segment_frames: unsafe extern "C" fn(*mut Opaque, *mut c_int, *mut c_int),
    segment_probability: SegmentProbability,
    free_segments: unsafe extern "C" fn(*mut Opaque),
}

/// One decoder: a model, a dictionary and a grammar. Decodes one utterance at a time and carries nothing from one to the
/// next.
pub struct Decoder {
    functions: &'static Functions,
    handle: *mut Opaque,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder(…)")
    }
}

// SAFETY: a decoder holds no thread-local state and is used by one thread at a time (`&mut self` everywhere).
unsafe impl Send for Decoder {}

/// Loads the library, or says why there is none.
///
/// # Errors
/// When the library or one of its functions is not there; the same answer for the whole run of the process.
pub fn load(path: Option<&Path>) -> Result<(), String> {
    functions(path).map(|_| ())
}

fn functions(path: Option<&Path>) -> Result<&'static Functions, String> {
    LOADED.get_or_init(|| Functions::load(path)).as_ref().map_err(Clone::clone)
}

impl Functions {
    fn load(path: Option<&Path>) -> Result<Self, String> {
        let name = path.map_or_else(|| PathBuf::from(LIBRARY_NAME), Path::to_path_buf);
        let failed = |error: libloading::Error| {
            format!("{}: expected pocketsphinx 5prealpha (Debian: libpocketsphinx3), found: {error}", name.display())
        };
        // SAFETY: the library's initialisers do nothing but set up its own data.
        let base = unsafe { Library::new(BASE_NAME) }.map_err(failed)?;
        // SAFETY: as above.
        let library = unsafe { Library::new(&name) }.map_err(failed)?;
        let functions = Self {
            parse: symbol(&base, c"cmd_ln_parse_r").map_err(failed)?,
            free_settings: symbol(&base, c"cmd_ln_free_r").map_err(failed)?,
            arguments: symbol(&library, c"ps_args").map_err(failed)?,
            init: symbol(&library, c"ps_init").map_err(failed)?,
            free: symbol(&library, c"ps_free").map_err(failed)?,
            add_word: symbol(&library, c"ps_add_word").map_err(failed)?,
            set_grammar: symbol(&library, c"ps_set_jsgf_string").map_err(failed)?,
            set_search: symbol(&library, c"ps_set_search").map_err(failed)?,
            start_stream: symbol(&library, c"ps_start_stream").map_err(failed)?,
            start_utterance: symbol(&library, c"ps_start_utt").map_err(failed)?,
            end_utterance: symbol(&library, c"ps_end_utt").map_err(failed)?,
            process: symbol(&library, c"ps_process_raw").map_err(failed)?,
            segments: symbol(&library, c"ps_seg_iter").map_err(failed)?,
            next_segment: symbol(&library, c"ps_seg_next").map_err(failed)?,
            segment_word: symbol(&library, c"ps_seg_word").map_err(failed)?,
            segment_frames: symbol(&library, c"ps_seg_frames").map_err(failed)?,
            segment_probability: symbol(&library, c"ps_seg_prob").map_err(failed)?,
            free_segments: symbol(&library, c"ps_seg_free").map_err(failed)?,
            _library: library,
            _base: base,
        };
        functions.be_quiet().map_err(failed)?;
        Ok(functions)
    }

    /// The library would print every model it reads to standard error.
    fn be_quiet(&self) -> Result<(), libloading::Error> {
        let silence: unsafe extern "C" fn(*mut c_void) = symbol(&self._base, c"err_set_logfp")?;
        // SAFETY: err_set_logfp(NULL) switches logging off (sphinxbase/err.h).
        unsafe { silence(ptr::null_mut()) };
        Ok(())
    }
}

/// A function of the library by its C name.
fn symbol<T: Copy>(library: &Library, name: &CStr) -> Result<T, libloading::Error> {
    // SAFETY: every caller names the type that pocketsphinx.h or cmd_ln.h declares for the function.
    unsafe { library.get::<T>(name.to_bytes_with_nul()) }.map(|symbol| *symbol)
}

impl Decoder {
    /// A decoder of the model that `settings` name (`-hmm PATH` and others, as the library's command line has them).
    ///
    /// # Errors
    /// When the library is missing, or does not take the settings or the model.
    pub fn new(settings: &[(&str, String)]) -> Result<Self, String> {
        let functions = functions(None)?;
        let mut words = vec![text("calmline")?];
        for (name, value) in settings {
            words.extend([text(name)?, text(value)?]);
        }
        let pointers: Vec<*mut c_char> = words.iter().map(|word| word.as_ptr().cast_mut()).collect();
        let count = c_int::try_from(pointers.len()).map_err(|_| "too many settings".to_owned())?;
        // SAFETY: `pointers` holds `count` valid C strings, which the library copies; ps_args() is a static table.
        let parsed =
            unsafe { (functions.parse)(ptr::null_mut(), (functions.arguments)(), count, pointers.as_ptr(), 1) };
        if parsed.is_null() {
            return Err(format!("pocketsphinx does not take the settings {settings:?}"));
        }
        // SAFETY: `parsed` is a configuration of ours; ps_init keeps a reference of its own, so ours is given back.
        let handle = unsafe {
            let handle = (functions.init)(parsed);
            (functions.free_settings)(parsed);
            handle
        };
        if handle.is_null() {
            return Err(format!("pocketsphinx does not read the model of {settings:?}"));
        }
        Ok(Self { functions, handle })
    }

    /// Adds a dictionary entry; the search learns of it with the next grammar.
    ///
    /// # Errors
    /// When a phone is not the model's, or the entry is there already.
    pub fn add_entry(&mut self, entry: &str, phones: &str) -> Result<(), String> {
        let (name, sounds) = (text(entry)?, text(phones)?);
        // SAFETY: both strings live through the call, which copies them.
        let index = unsafe { (self.functions.add_word)(self.handle, name.as_ptr(), sounds.as_ptr(), 0) };
        if index < 0 { Err(format!("the model takes no entry {entry} of the phones {phones:?}")) } else { Ok(()) }
    }

    /// Takes a grammar (JSGF) that can be decoded by.
    ///
    /// # Errors
    /// When the library does not take it.
    pub fn add_grammar(&mut self, name: &CStr, grammar: &str) -> Result<(), String> {
        let grammar = text(grammar)?;
        // SAFETY: both strings live through the call, which copies what it keeps.
        let taken = unsafe { (self.functions.set_grammar)(self.handle, name.as_ptr(), grammar.as_ptr()) } >= 0;
        if taken { Ok(()) } else { Err(format!("pocketsphinx does not take the {} graph", name.to_string_lossy())) }
    }

    /// Decodes one whole utterance by a grammar: linear samples at the model's rate. Empty when nothing fits.
    pub fn decode(&mut self, grammar: &CStr, samples: &[i16]) -> Vec<Unit> {
        let Functions { set_search, start_stream, start_utterance, end_utterance, process, .. } = self.functions;
        // SAFETY: the handle is valid until drop; the samples live through the call, which keeps no pointer to them.
        // A new stream forgets the noise estimate, and a full utterance has a cepstral mean of its own.
        let decoded = unsafe {
            set_search(self.handle, grammar.as_ptr()) >= 0
                && start_stream(self.handle) >= 0
                && start_utterance(self.handle) >= 0
                && process(self.handle, samples.as_ptr(), samples.len(), 0, 1) >= 0
                && end_utterance(self.handle) >= 0
        };
        if decoded { self.units() } else { Vec::new() }
    }

    fn units(&mut self) -> Vec<Unit> {
        let functions = self.functions;
        let mut units = Vec::new();
        // SAFETY: the iterator belongs to this decoder and is walked to its end, where the library frees it, or freed by
        // us; the word is a C string that lives as long as the iterator stands on it.
        unsafe {
            let mut segment = (functions.segments)(self.handle);
            while !segment.is_null() {
                if units.len() == UNITS_MAX {
                    (functions.free_segments)(segment);
                    break;
                }
                let (mut first, mut last) = (0, 0);
                let (mut acoustic, mut language, mut back) = (0, 0, 0);
                (functions.segment_frames)(segment, &raw mut first, &raw mut last);
                (functions.segment_probability)(segment, &raw mut acoustic, &raw mut language, &raw mut back);
                let word = (functions.segment_word)(segment);
                if !word.is_null() && last >= first && first >= 0 {
                    let entry = CStr::from_ptr(word).to_string_lossy().into_owned();
                    units.push(Unit { entry, frames: (first as usize, last as usize), score: i64::from(acoustic) });
                }
                segment = (functions.next_segment)(segment);
            }
        }
        units
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the handle came from ps_init and is freed once.
        unsafe { (self.functions.free)(self.handle) };
    }
}

fn text(value: &str) -> Result<CString, String> {
    CString::new(value).map_err(|_| format!("found a NUL in {value:?}"))
}
