# What every unit script of this folder has in common: units/NAME.sh sources this file, says what its
# unit is, and calls `main`.  Written by `toolorch render`.  It needs bash 4.4+, coreutils, util-linux,
# grep and find, and nothing of toolorch.
#
#   bash units/NAME.sh run       start it here, in the foreground; Ctrl-C stops all of it.  Its output
#                      goes to the log (the path is printed), its end to the state file.
#   bash units/NAME.sh status    one line; exit 0 running, 1 exited, 2 lost, 3 never started
#   bash units/NAME.sh observe   one line of JSON: processes, ports, open files, remote addresses
#   bash units/NAME.sh stop      TERM, grace, KILL on all that is ours; exit 0 when nothing is left
#   bash units/NAME.sh secrets   keep the `pass` values of this shell for the next starts (0600)
#   Options: --run RUN (default hand-CLUSTER: a run of its own; run takes the results, or refuses beside
#   who has them); with run also --generation N, --launch ID, --log FILE,
#   --gpus LIST, --port N, --concurrency N (one for which the unit has its words); with run and stop --epoch E, --grace SECONDS.
#   Files: ${TOOLORCH_STATE:-/tmp/toolorch-$UID}/RUN/NAME/ (state, log, dropped, supervisor.log, …)
#   A unit stops itself where U_IDLE says so, see "When nobody watches" below.
#
# Exit codes of run: the program's own (128+n when signal n killed it) if it ended by itself,
#   0 after a requested stop, 64 usage, 69 port in use, 73 superseded (an older generation or epoch),
#   75 already supervised, or its results are somebody's, 78 configuration (a `pass` name without value, missing directory,
#   environment or command; this file missing or not whole).  69 to 78 start nothing.
#
# The program's environment, in this order: a short allow-list of yours; modules, conda, venv; the
#   setup lines (without set -e and set -u; a line that fails is reported in the log and the rest goes
#   on; a line that ends the shell refuses the start with 78); then every credential, endpoint and
#   proxy name that `pass` and `set` do not list is dropped (names in the file `dropped`); then
#   `unset`, `pass` and `set`.
#
# Ours = the marker TOOLORCH_UNIT in the environment, the program's session and process group, its
#   descendants (recorded while it lives).  Whoever else listens on our port is somebody else's.  However the
#   program ends, the rest of ours is ended too, so that no worker keeps a GPU.
# It survives the terminal, tmux and the ssh connection (HUP is not a reason to stop).
#
# bash reads a sourced file whole before it runs any of it, so this one may be replaced by rename while
# units run: each supervisor goes on with what it read.  What it shares with the verbs of a later file
# is the state directory, and U_FORMAT is the number of its form: raise it with an incompatible change.
# shellcheck shell=bash disable=SC1007,SC1090,SC1091,SC2015,SC2016,SC2034,SC2053,SC2088,SC2100,SC2155,SC2206

# ---- A clean start: only the allow-list of the caller's environment stays -------------------------
set +a +e +f +u +v +o posix +o pipefail
shopt -s nullglob extglob
shopt -u failglob nocasematch nocaseglob dotglob
IFS=$' \t\n'
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  echo "toolorch: bash $BASH_VERSION is too old, 4.4 or later is needed" >&2; exit 78
fi
U_KEEP='HOME|USER|LOGNAME|SHELL|PATH|PWD|LANG|LC_*|TZ|TMPDIR|SLURM_*|CUDA_VISIBLE_DEVICES|MODULE*|LMOD_*|LOADEDMODULES|_LMFILES_|KRB5CCNAME|HF_HOME|SSL_CERT_FILE'
U_VALID='[A-Za-z_]*([A-Za-z0-9_])'
mapfile -d '' -t U_ENVIRON 2>/dev/null </proc/self/environ
if [[ ${1-} == run && -z ${TOOLORCH_SUPERVISOR-} ]]; then
  # bash can neither unset a name like `a.b` nor change what /proc shows of itself: where either
  # matters (started inside another unit, whose marker we carry), start once more without it.
  U_AWAY=()
  for U_PAIR in "${U_ENVIRON[@]}"; do
    [[ ${U_PAIR%%=*} == $U_VALID || ${U_PAIR%%=*} == BASH_FUNC_* ]] || U_AWAY+=(-u "${U_PAIR%%=*}")
  done
  if [[ -n ${TOOLORCH_UNIT-} ]] || ((${#U_AWAY[@]})); then
    exec env "${U_AWAY[@]}" -u TOOLORCH_UNIT TOOLORCH_SUPERVISOR=1 "$BASH" "$0" "$@"
  fi
fi
declare -A U_CALLER=()
U_LC_ALL=${LC_ALL-} U_LC_ALL_SET=${LC_ALL+1}
for U_PAIR in "${U_ENVIRON[@]}"; do
  U_NAME=${U_PAIR%%=*}
  # A function of the caller must not stand in for a command of ours.
  if [[ $U_NAME == BASH_FUNC_*%% ]]; then
    U_NAME=${U_NAME#BASH_FUNC_}; U_NAME=${U_NAME%%%}; U_NAME=${U_NAME%%%}
    [[ $U_NAME == @(module|ml|_module*|_ml*|__lmod*) ]] || unset -f "$U_NAME" 2>/dev/null
    continue
  fi
  [[ $U_NAME == $U_VALID ]] || continue
  U_CALLER[$U_NAME]=${U_PAIR#*=}
  [[ $U_NAME == @($U_KEEP) ]] && continue
  if [[ $U_NAME == U_* ]]; then export -n "${U_NAME?}"; continue; fi
  unset -v "$U_NAME" 2>/dev/null || export -n "${U_NAME?}"
done
unset U_ENVIRON U_PAIR U_NAME
export -n U_LIB # it was set before `set +a`
LC_ALL=C # bytes are bytes
: "${PATH:=/usr/local/bin:/usr/bin:/bin}"; export PATH

# ---- What a unit says of itself ------------------------------------------------------------------------
U_FORMAT=1
U_UNIT='' U_CLUSTER='' U_ARGV=()
U_SET=() U_PASS=() U_MAY_PASS=() U_UNSET=() U_CONDA='' U_VENV='' U_CONTAINER=() U_MODULES=() U_SETUP=() U_UMASK=''
U_CWD='' U_GPUS='' U_PORT='' U_MORE_PORTS=() U_HOST='' U_SHARE='' U_STAGE=() U_CACHE_DIR='' U_OPEN_FILES='' U_GRACE=30 U_RESULTS='' U_IDLE=''
U_NOTIFY=() U_NOTIFY_DIR='' U_NOTIFY_EVERY=600
