//! Hearing what came of it all, and telling it to the model.

use anyhow::{Context, Result, bail, ensure};
use consumer::HandlerError;
use contracts::event::Event;
use inventory::{InventoryError, Restocked};

use super::{Errand, Outcome, Play, Running};
use crate::{
    books::Books,
    post::Reader,
    telling::{cancelled, placed},
};

impl Play<'_> {
    /// Hears everything that has come to its end.
    pub(super) async fn hear_outcomes(&mut self, before: &Books) -> Result<()> {
        let finished = self.running.extract_if(.., |_, running| running.work.is_finished()).collect::<Vec<_>>();
        for (_, Running { errand, work }) in finished {
            self.over.push((errand, work.await));
        }
        for (errand, outcome) in std::mem::take(&mut self.over) {
            match outcome {
                Ok(outcome) => self.hear(errand, outcome, before)?,
                Err(error) if error.is_panic() => bail!("a panic: {error}"),
                // it died with its process
                Err(_) => self.give_up(errand),
            }
        }
        Ok(())
    }

    fn hear(&mut self, errand: Errand, outcome: Outcome, before: &Books) -> Result<()> {
        match (errand, outcome) {
            (Errand::Place { order, other_body }, Outcome::Placed(Ok(answer))) => {
                self.tell([format!("order {order}: {}", placed(&answer))]);
                let heard = self.model.orders[order].hear_placed(other_body, answer, &self.books);
                heard.with_context(|| format!("order {order}"))
            }
            (Errand::Cancel { order, key }, Outcome::Cancelled(Ok(answer))) => {
                self.tell([format!("cancel of order {order}: {}", cancelled(&answer))]);
                let heard = self.model.orders[order].hear_cancelled(key, answer, &self.books);
                heard.with_context(|| format!("order {order}"))
            }
            (
                Errand::Place { order, .. } | Errand::Cancel { order, .. },
                Outcome::Placed(Err(_)) | Outcome::Cancelled(Err(_)),
            ) => {
                self.tell([format!("order {order}: its customer hears nothing")]);
                Ok(())
            }
            (Errand::Read { reader, letters, again }, Outcome::Read(read)) => {
                self.hear_read(reader, letters, again, read)
            }
            (Errand::Restock { key, delivery }, Outcome::Restocked(restocked)) => {
                let known = before.receipts.get(&key);
                match restocked {
                    Ok(Restocked::Now) => ensure!(known.is_none(), "{key} is counted again"),
                    Ok(Restocked::Before) => ensure!(known == Some(&delivery), "{key} is another delivery"),
                    Err(InventoryError::KeyReused { .. }) => {
                        ensure!(known.is_some_and(|known| *known != delivery), "{key} was not used before");
                    }
                    Err(error) => bail!("{key}: {error}"),
                }
                Ok(())
            }
            (_, Outcome::Dispatched(answer)) => {
                self.tell([answer.map_or_else(|status| status.message().to_owned(), |_| "on its way".to_owned())]);
                Ok(())
            }
            (_, _) => Ok(()),
        }
    }

    fn hear_read(
        &mut self,
        reader: Reader,
        letters: Vec<Event>,
        again: bool,
        read: Result<(), HandlerError>,
    ) -> Result<()> {
        match read {
            Ok(()) if again => {}
            Ok(()) => self.post.note_read(reader, letters),
            // each alone is read later, as after a batch that failed
            Err(_) if letters.len() > 1 => self.post.put_back(reader, letters),
            Err(HandlerError::Retry(error)) => {
                self.tell([format!("later again: {error}")]);
                if !again {
                    self.post.put_back(reader, letters);
                }
            }
            Err(HandlerError::Reject(error)) => bail!("{} refuses the letter: {error}", reader.service().name()),
        }
        Ok(())
    }

    fn give_up(&mut self, errand: Errand) {
        if let Errand::Read { reader, letters, again: false } = errand {
            self.post.put_back(reader, letters);
        }
    }
}
