//! Documents, and queries that ask for them.

use anyhow::Result;
use orbit_data::chat::ChatTemplate;
use orbit_data::document::{Bm25, Query};
use orbit_data::example::{Direction, ExampleSource, ItemForm, Pairs};
use orbit_data::retrieval::Ranks;
use orbit_data::{DocumentCorpus, Vocabulary};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Asked, CUTOFF, Kinds, SEED, Subject, some};
use crate::catalogue::Catalogue;
use crate::config::{Retrieval, RunFile};
use crate::report::{self, Baselines};
use crate::retrieval::scores;

/// The document of a query (DSI, arXiv 2202.06991): documents are learned by their own text, and by training queries.
pub(super) struct Documents {
    corpus: DocumentCorpus,
    form: ItemForm,
    vocabulary: Vocabulary,
    /// Tokens of a text, at most.
    longest: usize,
}

impl Documents {
    pub(super) fn new(
        corpus: DocumentCorpus,
        longest: usize,
        (chat, vocabulary, codes): (&ChatTemplate, &Vocabulary, &[Vec<u16>]),
    ) -> Result<Self> {
        let form = ItemForm::new(chat, vocabulary, codes)?;
        Ok(Self { corpus, form, vocabulary: vocabulary.clone(), longest })
    }

    fn to_ids<'a>(&self, texts: impl IntoIterator<Item = (&'a str, u32)>) -> Result<Box<Pairs>> {
        Ok(Box::new(Pairs::new(self.form.clone(), self.vocabulary.text(), Direction::TextToId, texts, self.longest)?))
    }

    /// A fixed choice of test queries.
    fn queries(&self, count: usize) -> Vec<&Query> {
        let mut queries: Vec<&Query> = self.corpus.test.iter().collect();
        queries.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
        queries.truncate(count);
        queries
    }
}

impl Subject for Documents {
    fn digest(&self) -> String {
        self.corpus.digest()
    }

    fn kinds(&self, run: &RunFile) -> Result<Kinds> {
        let documents = (0..).zip(&self.corpus.documents).map(|(index, document)| (document.text.as_str(), index));
        let queries = self.corpus.train.iter();
        let queries = queries.flat_map(|query| query.relevant.iter().map(|&document| (query.text.as_str(), document)));
        Ok(vec![(self.to_ids(documents)?, run.examples.indexing), (self.to_ids(queries)?, run.examples.queries)])
    }

    fn asked(&self, count: usize) -> Result<Vec<Asked>> {
        let asked = self.queries(count).into_iter().map(|query| {
            let prompt = self.form.text_prompt(self.vocabulary.text(), &query.text, self.longest)?;
            Ok(Asked { prompt, right: query.relevant.clone(), seen: Vec::new(), answer: self.form.width() })
        });
        some(asked.collect::<Result<_>>()?, "there is no test query")
    }

    fn baselines(&self, how: &Retrieval) -> Baselines {
        let bm25 = Bm25::fit(&self.corpus.documents);
        let mut ranks = Ranks::default();
        for query in self.queries(how.users) {
            ranks.push_any(&bm25.rank(&query.text, CUTOFF), &query.relevant);
        }
        Baselines::from([(report::BM25.to_owned(), scores(&ranks))])
    }

    fn catalogue(&self) -> Catalogue {
        let documents = self.corpus.documents.iter().map(|document| (document.id.as_str(), document.text.as_str()));
        Catalogue::of_documents(documents, self.longest)
    }

    fn notes(&self, _: &RunFile) -> Result<Vec<String>> {
        let documents = (0..).zip(&self.corpus.documents).map(|(index, document)| (document.text.as_str(), index));
        let queries = self.corpus.train.iter().chain(&self.corpus.test).map(|query| (query.text.as_str(), 0));
        let mut notes = Vec::new();
        for (what, texts) in [("documents", self.to_ids(documents)?), ("queries", self.to_ids(queries)?)] {
            let (cut, all) = (texts.cut_texts(), texts.len());
            if cut > 0 {
                notes.push(format!("{cut} of {all} {what} were cut to {} tokens", self.longest));
            }
        }
        Ok(notes)
    }
}
