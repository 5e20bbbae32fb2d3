//! What is written around an instruction and its input.

use std::borrow::Cow;

use minijinja::{Environment, UndefinedBehavior, context};

use crate::chat::FUEL;
use crate::{Error, Result};

/// The instruction and, if there is one, the input below it.
pub(super) const PLAIN: &str = "{{ instruction }}{% if input %}\n\n{{ input }}{% endif %}";

/// The zero-shot prompt of Super-NaturalInstructions' evaluation (arXiv 2204.07705).
pub(super) const SUPER_NI: &str =
    "Definition: {{ instruction }}\n\nNow complete the following example -\nInput: {{ input }}\nOutput:";

/// O-LoRA's prompt (arXiv 2310.14152).
pub(super) const OLORA: &str = "{{ instruction }}\nOption: {{ choices | join(', ') }}\n{{ input }}\nAnswer:";

/// The instruction and the input in quotes.
pub(super) const QUOTED: &str = "{{ instruction }} \"{{ input }}\"";

/// The instruction and the input below it.
pub(super) const LINES: &str = "{{ instruction }}\n{{ input }}";

/// The prompt of Alpaca, which SwitchCIT (arXiv 2407.11780) and others put around every task.
pub const ALPACA: &str = "\
Below is an instruction that describes a task, paired with an input that provides further context.
Write a response that appropriately completes the request.

{{ instruction }}

### Input:
{{ input }}

### Response:";

/// A Jinja template of the words that are put to the model for an instance: the user's turn of a chat. It knows
/// `instruction`, `input` and `choices`, which is a list, empty for a task without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Cow<'static, str>);

impl Template {
    /// The template that `source` is.
    ///
    /// ```
    /// use orbit_data::instruct::Template;
    /// let why = Template::new("{{ instruction }}: {{ inptu }}").unwrap_err().to_string();
    /// assert!(why.contains("'inptu'"), "{why}");
    /// ```
    ///
    /// # Errors
    /// When it is not Jinja, names something else, or never writes the input.
    pub fn new(source: impl Into<String>) -> Result<Self> {
        let source = source.into();
        let mut environment = Environment::new();
        environment.add_template("task", &source).map_err(|error| failed("parsing", error))?;
        let template = environment.get_template("task").map_err(|error| failed("parsing", error))?;
        let names = template.undeclared_variables(false);
        if let Some(name) = names.iter().filter(|name| !KNOWN.contains(&name.as_str())).min() {
            let known = KNOWN.join(", ");
            return Err(Error::Invalid(format!("the template of a task names '{name}', and knows {known}")));
        }
        if !names.contains("input") {
            return Err(Error::Invalid("the template of a task must write the `input`".into()));
        }
        Ok(Self(source.into()))
    }

    /// The instruction and, if there is one, the input below it.
    pub fn plain() -> Self {
        Self::of(PLAIN)
    }

    /// A template that is known to be one.
    pub(super) fn of(source: &'static str) -> Self {
        Self(source.into())
    }

    /// Writes what is put to the model. Costs parsing the template, some microseconds.
    ///
    /// # Errors
    /// When the template fails, with what it says.
    pub fn render(&self, choices: &[String], instruction: &str, input: &str) -> Result<String> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let words = context! { instruction, input, choices => choices.to_vec() };
        environment.render_str(&self.0, words).map_err(|error| failed("rendering", error))
    }
}

/// What a template can name.
const KNOWN: [&str; 3] = ["instruction", "input", "choices"];

fn failed(what: &str, source: minijinja::Error) -> Error {
    Error::Tokenizer { what: format!("{what} the template of a task"), source: source.into() }
}
