//! The first word to a node: who and where we are there, and whether its place for the run can be trusted.

use std::path::{Path, PathBuf};

/// What is asked before anything of ours is there. `$1` is the run, `$2` a file of the controller, `$3` says that the
/// directories are to be made; `$4` is the hash of that file where jobs are submitted: then the place is beside it if it is
/// seen, else in the home, which compute nodes see, too. The same rules as those of unit scripts: ours, no link, for nobody
/// else to write.
pub(super) const SCRIPT: &str = r#"
umask 077
[[ -f $2 && -r $2 ]] && seen=$(sha256sum <"$2")
if [[ -z $4 ]]; then root=${TOOLORCH_STATE:-/tmp/toolorch-$UID}; [[ $root == /* ]] || root=$PWD/$root
elif [[ ${seen%% *} == "$4" ]]; then root=${2%/*}/slurm
else root=$HOME/.toolorch/slurm; fi
refuse() { echo "toolorch: state directory refused: \`$1\` $2" >&2; exit 78; }
for dir in "$root" "$root/$1" "$root/$1/.scripts"; do
  [[ -n $3 && ! -d $dir && ! -L $dir ]] && { mkdir -p -- "$dir" || exit 1; }
  [[ -e $dir || -L $dir ]] || continue
  [[ -L $dir ]] && refuse "$dir" 'is a symbolic link'
  [[ -d $dir ]] || refuse "$dir" 'is not a directory'
  [[ -O $dir ]] || refuse "$dir" 'belongs to another user'
  mode=$(stat -c %a -- "$dir")
  [[ ${mode: -2:1} == [2367] || ${mode: -1} == [2367] ]] && refuse "$dir" "can be written by others (mode $mode)"
done
read -r boot </proc/sys/kernel/random/boot_id; read -r host </proc/sys/kernel/hostname
[[ -f $root/$1/.scripts/MANIFEST ]] && manifest=$(sha256sum <"$root/$1/.scripts/MANIFEST")
printf '%s\n' "root=$root" "host=$host" "boot=$boot" "manifest=${manifest%% *}" "seen=${seen%% *}"
"#;

/// What a node answers to the first word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The folder below which the state of units is kept there.
    pub root: PathBuf,
    /// Its own name.
    pub host: String,
    /// Which boot it is.
    pub boot: String,
    /// The hash of the list of scripts that are there; empty if there is none.
    pub manifest: String,
    /// The hash of the controller's file as it is seen there: the same as here where its folder is shared.
    pub seen: String,
}

impl Greeting {
    /// Reads the answer; none of half an answer.
    pub(super) fn read(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once('='));
            pairs.find_map(|(name, value)| (name == key).then(|| value.to_owned()))
        };
        let root = PathBuf::from(value("root")?);
        Some(Self {
            root: root.is_absolute().then_some(root)?,
            host: value("host")?,
            boot: value("boot")?,
            manifest: value("manifest")?,
            seen: value("seen")?,
        })
    }

    /// Where scripts of the run stand there.
    pub(super) fn scripts(&self, run: &str) -> PathBuf {
        self.root.join(run).join(".scripts")
    }

    /// Where the log of a start goes: where the controller would put it if it sees that folder, too.
    pub(super) fn log(&self, run: &str, here: &Path, digest: &str) -> PathBuf {
        let name = here.file_name().unwrap_or_default();
        if !digest.is_empty() && self.seen == digest {
            here.to_owned()
        } else {
            self.root.join(run).join(".logs").join(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let text = "root=/tmp/toolorch-7\nhost=gpu31\nboot=b-1\nmanifest=\nseen=n=1\n";
        let read = Greeting::read(text).unwrap();
        assert_eq!(read.seen, "n=1");
        assert_eq!(read.scripts("r"), Path::new("/tmp/toolorch-7/r/.scripts"));
        let here = Path::new("/home/u/runs/c/1/logs/a.log");
        assert_eq!(read.log("r", here, "n=1"), here);
        assert_eq!(
            read.log("r", here, "other"),
            Path::new("/tmp/toolorch-7/r/.logs/a.log")
        );
        assert_eq!(Greeting::read("root=/tmp\nhost=a\n"), None);
        assert_eq!(Greeting::read(&text.replace("/tmp/", "tmp/")), None);
    }
}
