//! Whether a SQLite file can be used, found out without making it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use sea_orm::sqlx::sqlite::SqliteConnectOptions;

use super::{Place, root_cause};

/// Looks for the file and its folder.
pub(super) fn look(url: &str) -> Result<Place, String> {
    let options = SqliteConnectOptions::from_str(url).map_err(|error| {
        format!("not a SQLite URL ({}); one looks like sqlite://haggle.db?mode=rwc", root_cause(&error))
    })?;
    let (path, parameters) = url.split_once('?').unwrap_or((url, ""));
    let mode = |wanted: &str| parameters.split('&').any(|part| part.strip_prefix("mode=") == Some(wanted));
    if path.ends_with(":memory:") || mode("memory") {
        return Ok(Place::NotYet("kept in memory, and gone when the server ends".to_owned()));
    }
    let file = options.get_filename();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    if file.is_dir() {
        return Err(format!("{} is a folder: name a file in it", file.display()));
    }
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(format!("the folder {folder} does not exist: `mkdir -p {folder}` makes it"));
    }
    writable(&folder).map_err(|error| {
        format!(
            "the folder {} cannot be written to ({error}), and SQLite keeps its journal there: change its owner or \
             choose another folder",
            folder.display()
        )
    })?;
    match fs::OpenOptions::new().read(true).write(!mode("ro")).open(file) {
        Ok(_) if mode("ro") => Err("opened for reading alone: leave out mode=ro".to_owned()),
        Ok(_) => Ok(Place::There("the file is there".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound && mode("rwc") => {
            Ok(Place::NotYet("the first start makes the file".to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(format!("the file {} does not exist: add ?mode=rwc to the URL to have it made", file.display()))
        }
        Err(error) => Err(format!("the file {} cannot be opened: {error}", file.display())),
    }
}

/// Makes a file in the folder and takes it away again.
fn writable(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".haggle-doctor-{}", std::process::id()));
    fs::OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(probe)
}
