//! Chat templates: the Jinja program in a model's directory that turns messages into the text the model was trained on.

mod arguments;
mod bounds;
mod clock;
mod environment;
mod failure;
mod filters;
mod globals;
#[cfg(test)]
mod golden;
mod json;
mod methods;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;

use minijinja::{Environment, context};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::clock::Clock;
use self::failure::failed;
use self::source::{CONFIG, Source, TEMPLATE};
use crate::{Error, Result};

/// What a model without a template reads and writes.
const PLAIN: &str = "{% for message in messages %}{{ message.content }}{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}";

const CHATML: &str = "\
{%- for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}\
{%- endfor %}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}";

/// What a template may use: an instruction takes one, and so do 64 bytes of text that it makes. Real ones take some
/// hundreds a message; one that would go on for ever is stopped within a second, and one that doubles a text before it
/// has 64 MiB.
pub(crate) const FUEL: u64 = 1 << 20;

/// The template's name in its environment.
const NAME: &str = "chat template";

/// What one side says in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The words.
    pub content: String,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: &str, content: &str) -> Self {
        Self { role: role.to_owned(), content: content.to_owned() }
    }
}

/// One exchange, cut where the model starts to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The user's words and all that the template puts around them.
    pub prompt: String,
    /// The model's words and what closes them.
    pub answer: String,
}

/// A model's chat template with its tokenizer configuration.
///
/// A template gets what transformers 5 gives it: `messages`, `add_generation_prompt`, `tools` and `documents`, which
/// are `none`, the special tokens, `raise_exception`, `strftime_now`, Python's `tojson` and methods, `break` and
/// `continue`, and blocks that are trimmed. Other variables, such as `enable_thinking`, are undefined, as they are in
/// transformers when nobody sets them.
///
/// The time that `strftime_now` tells stands still: it is the time when the template was read, in UTC, or the one given
/// to [`with_now`](Self::with_now). A run that records [`now`](Self::now) writes the same prompts when it is resumed.
///
/// What transformers renders and orbit cannot, such as `%` between texts and `varargs` of a macro, is an error; the
/// test `golden` lists it.
///
/// A template comes from whoever made the model. It is interpreted, sees the messages and the special tokens, can read
/// no file, and is stopped when it does not come to an end.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: Source,
    config: Map<String, Value>,
    clock: Clock,
    environment: Environment<'static>,
}

impl ChatTemplate {
    /// Reads the chat template of a model directory: `chat_template.jinja`, or without it `chat_template` of
    /// `tokenizer_config.json`. Of several templates it is the one named `default`.
    ///
    /// A model without one, such as BLOOMZ and mT0, is given the words as they are, and its answer ends with its
    /// `eos_token` (Muennighoff et al., arXiv 2211.01786).
    ///
    /// # Errors
    /// When there is neither a template nor an `eos_token`, several templates have no `default`, or the template is not
    /// valid Jinja.
    pub fn read(model_dir: &Path) -> Result<Self> {
        let config = source::read_config(model_dir)?;
        let source = match source::find(model_dir, &config)? {
            Some(source) => source,
            None if config.get("eos_token").and_then(source::content).is_some() => plain(),
            None => {
                return Err(Error::file(
                    model_dir.join(CONFIG),
                    format!("no chat_template here and no {TEMPLATE} beside it: is the model a chat model?"),
                ));
            }
        };
        Self::new(source, config)
    }

    /// The template that a tokenizer configuration holds, as from a GGUF file.
    ///
    /// # Errors
    /// When there is none, or it is not valid Jinja.
    pub fn from_config(config: Map<String, Value>) -> Result<Self> {
        let text = source::configured(&config).map_err(Error::Invalid)?;
        let missing = || Error::Invalid("the model has no chat template: is it a chat model?".into());
        let source = Source { text: text.ok_or_else(missing)?, origin: "the tokenizer configuration".into() };
        Self::new(source, config)
    }

    /// The words as they are; an answer ends with `eos_token`. For the tokens of
    /// [`item_tokenizer`](crate::vocabulary::item_tokenizer), whose end is `</s>`.
    ///
    /// # Errors
    /// None that a user can cause.
    pub fn plain(eos_token: &str) -> Result<Self> {
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": eos_token,
            "unk_token": "<unk>",
            "pad_token": "<pad>",
            "clean_up_tokenization_spaces": false,
        });
        Self::new(plain(), config.as_object().cloned().unwrap_or_default())
    }

    /// ChatML, the template of models trained by orbit, for the special tokens of
    /// [`train_bpe`](crate::vocabulary::train_bpe).
    ///
    /// ```
    /// use orbit_data::chat::{ChatTemplate, Message};
    /// let text = ChatTemplate::chatml()?.render(&[Message::new("user", "Hello")], true)?;
    /// assert_eq!(text, "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n");
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// None that a user can cause.
    pub fn chatml() -> Result<Self> {
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<|endoftext|>",
            "eos_token": "<|im_end|>",
            "unk_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>",
            "clean_up_tokenization_spaces": false,
        });
        let source = Source { text: CHATML.to_owned(), origin: "orbit's ChatML".into() };
        Self::new(source, config.as_object().cloned().unwrap_or_default())
    }

    fn new(source: Source, config: Map<String, Value>) -> Result<Self> {
        Self::at(source, config, Clock::now())
    }

    fn at(source: Source, config: Map<String, Value>, clock: Clock) -> Result<Self> {
        let environment = environment::environment(clock).and_then(|mut environment| {
            environment.add_template_owned(NAME, environment::prepared(&source.text))?;
            Ok(environment)
        });
        let environment = environment.map_err(|error| failed("parsing", &source.origin, error))?;
        Ok(Self { source, config, clock, environment })
    }

    /// The same template at another time, `now` in RFC 3339: what `strftime_now` tells.
    ///
    /// ```
    /// use orbit_data::chat::ChatTemplate;
    /// let chat = ChatTemplate::chatml()?.with_now("2025-03-04T15:06:07Z")?;
    /// assert_eq!(chat.now(), "2025-03-04T15:06:07Z");
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When `now` is not a time.
    pub fn with_now(self, now: &str) -> Result<Self> {
        let wrong = || Error::Invalid(format!("{now:?} is not a time such as 2025-03-04T15:06:07Z"));
        Self::at(self.source, self.config, Clock::parse(now).ok_or_else(wrong)?)
    }

    /// The time that `strftime_now` tells, as RFC 3339 in UTC and whole seconds.
    pub fn now(&self) -> String {
        self.clock.rfc3339()
    }

    /// Whether the template can write the date, so that its text depends on [`now`](Self::now).
    pub fn uses_the_date(&self) -> bool {
        self.source.text.contains("strftime_now")
    }

    /// Whether the words are written as they are, because the model has no template of its own.
    pub fn is_plain(&self) -> bool {
        self.source.text == PLAIN
    }

    /// A special token that the tokenizer's configuration names, such as `bos_token`.
    pub fn special_token(&self, name: &str) -> Option<&str> {
        self.config.get(name).and_then(source::content)
    }

    /// Renders `messages`; `add_generation_prompt` ends the text where the model is to write its turn.
    ///
    /// # Errors
    /// When the template refuses the messages, with what it says.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let message =
            |message: &Message| context! { role => message.role.as_str(), content => message.content.as_str() };
        let messages: Vec<_> = messages.iter().map(message).collect();
        let tokens = source::special_tokens(&self.config);
        let variables = context! { messages, tools => (), documents => (), add_generation_prompt, ..tokens };
        let text = self.environment.get_template(NAME).and_then(|template| template.render(variables));
        text.map_err(|error| failed("rendering", &self.source.origin, error))
    }

    /// Renders a user's words and the model's answer to them, and cuts the text where the model starts to write.
    ///
    /// ```
    /// use orbit_data::chat::ChatTemplate;
    /// let turn = ChatTemplate::chatml()?.turn("2 + 2?", "4")?;
    /// assert!(turn.prompt.ends_with("<|im_start|>assistant\n"));
    /// assert_eq!(turn.answer, "4<|im_end|>\n");
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the template does not render, or writes a conversation that does not start with its own prompt, because then
    /// the model would be trained on other prompts than it is asked.
    pub fn turn(&self, user: &str, answer: &str) -> Result<Turn> {
        let messages = [Message::new("user", user), Message::new("assistant", answer)];
        let prompt = self.render(&messages[..1], true)?;
        let whole = self.render(&messages, false)?;
        match whole.strip_prefix(&prompt) {
            Some(answer) => Ok(Turn { answer: answer.to_owned(), prompt }),
            None => Err(Error::Invalid(format!(
                "the chat template does not start a conversation with its own prompt: {whole:?} does not start with {prompt:?}"
            ))),
        }
    }

    /// Writes the template and the tokenizer configuration into a model directory, but for `auto_map`, which names
    /// Python code that others would run: it is not part of what is written here.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let mut config = self.config.clone();
        config.remove("auto_map");
        config.insert("chat_template".to_owned(), self.source.text.clone().into());
        let path = dir.join(CONFIG);
        std::fs::write(&path, format!("{:#}\n", Value::Object(config))).map_err(|source| Error::io(&path, source))
    }
}

/// The words as they are, for a model that is not one of chat but knows how to end an answer.
fn plain() -> Source {
    Source { text: PLAIN.to_owned(), origin: "a model without one".into() }
}
