//! Columns by their usual names.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    User,
    Item,
    /// The id in an item file.
    Key,
    Time,
    Rating,
    Title,
}

impl Column {
    /// The names it usually has; an earlier one comes before a later one.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::User => &["user", "user_id", "uid", "reviewer_id", "customer_id", "visitor_id", "session_id"],
            Self::Item => &ITEM[1..],
            Self::Key => &ITEM,
            Self::Time => {
                &["time", "timestamp", "ts", "unix_review_time", "unix_time", "datetime", "date", "created_at"]
            }
            Self::Rating => &["rating", "stars", "overall", "score", "book_rating"],
            Self::Title => {
                &["title", "name", "item_title", "product_title", "movie_title", "book_title", "product_name"]
            }
        }
    }

    /// The name it has if no other is given.
    fn name(self) -> &'static str {
        self.names()[0]
    }

    /// The option that names it.
    fn option(self) -> &'static str {
        match self {
            Self::User => "--user",
            Self::Item | Self::Key => "--item",
            Self::Time => "--time",
            Self::Rating => "--rating",
            Self::Title => "--title",
        }
    }
}

const ITEM: [&str; 13] = [
    "id",
    "item",
    "item_id",
    "iid",
    "parent_asin",
    "asin",
    "movie_id",
    "product_id",
    "isbn",
    "book_id",
    "track_id",
    "song_id",
    "article_id",
];

/// The place of a column among `names`, by the name that is `given` for it or else by its usual ones, without regard to
/// case, to blanks around it, and to `_`, `-` and blanks within. Refuses two columns of one name.
pub(crate) fn find<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    column: Column,
    given: Option<&str>,
) -> Result<Option<usize>, String> {
    let wanted = given.as_ref().map_or(column.names(), std::slice::from_ref);
    for wanted in wanted {
        for matches in [|name: &str, wanted: &str| name.trim() == wanted, same] {
            let mut found = names.clone().enumerate().filter(|(_, name)| matches(name, wanted));
            match (found.next(), found.next()) {
                (Some((place, _)), None) => return Ok(Some(place)),
                (Some((_, one)), Some((_, other))) => {
                    return Err(format!("`{one}` and `{other}` are both `{wanted}`: {}", advice(column)));
                }
                (None, _) => {}
            }
        }
    }
    Ok(None)
}

/// As [`find`], of a column that must be there.
pub(crate) fn required<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    column: Column,
    given: Option<&str>,
) -> Result<usize, String> {
    let missing = || {
        let (name, names) = (given.unwrap_or(column.name()), names.clone().collect::<Vec<_>>().join(", "));
        format!("no `{name}` among the columns {names}: {}", advice(column))
    };
    find(names.clone(), column, given)?.ok_or_else(missing)
}

/// As [`find`], of a column that must be there if its name is given.
pub(crate) fn optional<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    column: Column,
    given: Option<&str>,
) -> Result<Option<usize>, String> {
    if given.is_some() { required(names, column, given).map(Some) } else { find(names, column, given) }
}

fn advice(column: Column) -> String {
    format!("call the right one `{}`, or give {} NAME to `orbit data prepare`", column.name(), column.option())
}

/// Whether two names are the same but for case and for signs that are neither letters nor digits.
fn same(name: &str, wanted: &str) -> bool {
    fn folded(name: &str) -> impl Iterator<Item = char> {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase)
    }
    folded(name).eq(folded(wanted))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn place(names: &str, column: Column, given: Option<&str>) -> Result<Option<usize>, String> {
        optional(names.split(','), column, given)
    }

    #[test]
    fn usual_names_are_found_however_they_are_written() {
        for (names, user, item, time) in [
            ("user,item,time", 0, 1, Some(2)),
            ("time, Item ,USER", 2, 1, Some(0)),
            ("userId,movieId,rating,timestamp", 0, 1, Some(3)),
            ("User-ID,ISBN,Book-Rating", 0, 1, None),
            ("reviewerID,asin,overall,unixReviewTime", 0, 1, Some(3)),
            ("rating,user_id,asin,parent_asin,timestamp", 1, 3, Some(4)),
            ("uid,iid,Date", 0, 1, Some(2)),
            ("user_id,user,item,item_id", 1, 2, None),
        ] {
            assert_eq!(place(names, Column::User, None).unwrap(), Some(user), "{names}");
            assert_eq!(place(names, Column::Item, None).unwrap(), Some(item), "{names}");
            assert_eq!(place(names, Column::Time, None).unwrap(), time, "{names}");
        }
        assert_eq!(place("item_id,ID,Name", Column::Key, None).unwrap(), Some(1));
        assert_eq!(place("id,Product Title", Column::Title, None).unwrap(), Some(1));
    }

    #[test]
    fn a_given_name_is_the_only_one() {
        assert_eq!(place("user,who", Column::User, Some("who")).unwrap(), Some(1));
        assert_eq!(place("user,Who", Column::User, Some("who")).unwrap(), Some(1));
        assert_eq!(place("WHO,who", Column::User, Some("who")).unwrap(), Some(1));
        let why = place("user,item", Column::User, Some("who")).unwrap_err();
        assert_eq!(
            why,
            "no `who` among the columns user, item: call the right one `user`, or give --user NAME to \
             `orbit data prepare`"
        );
        let why = required("a,b".split(','), Column::Item, None).unwrap_err();
        assert!(why.contains("no `item` among the columns a, b") && why.contains("--item NAME"), "{why}");
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        for names in ["user,item,user", "User_ID,userId"] {
            let why = place(names, Column::User, None).unwrap_err();
            assert!(why.contains("are both `user") && why.contains("--user NAME"), "{why}");
        }
    }
}
