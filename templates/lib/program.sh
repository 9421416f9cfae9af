# ---- The program's environment and its start (runs in the forked child) -------------------------------
# Setup lines run in this shell, so what is used after them has a name that no setup file uses.
u_refuse() { trap - EXIT; printf '%s\n' "$1" >"$U_DIR/refusal"; echo "toolorch: $1"; exit 78; }
u_load_modules() {
  local file
  if ! declare -F module >/dev/null; then
    for file in "${MODULESHOME-}/init/bash" "${LMOD_PKG-}/init/bash" /etc/profile.d/{modules,lmod,z00_lmod}.sh /usr/share/{lmod/lmod,modules}/init/bash; do
      if [[ -r $file ]]; then source "$file"; break; fi
    done
  fi
  declare -F module >/dev/null || u_refuse "modules are asked for, but there is no \`module\` command on this node"
}
u_conda_root() { # -> CONDA_ROOT
  local exe=${U_CALLER[CONDA_EXE]-} dir
  for dir in "${exe%/bin/conda}" "${exe%/condabin/conda}" ~/{miniconda3,miniforge3,mambaforge,anaconda3,micromamba,.conda} /opt/{conda,miniconda3,miniforge3,anaconda3} /usr/local/{conda,miniconda3,anaconda3}; do
    [[ -n $dir && -r $dir/etc/profile.d/conda.sh ]] && { CONDA_ROOT=$dir; return 0; }
  done
  exe=$(type -P conda) && [[ -r ${exe%/*/conda}/etc/profile.d/conda.sh ]] && CONDA_ROOT=${exe%/*/conda}
}
u_activate() { # modules, conda, venv
  local U_I
  if ((${#U_MODULES[@]})); then
    u_load_modules
    for U_I in "${U_MODULES[@]}"; do module load "$U_I" || u_refuse "\`module load $U_I\` failed, see the log"; done
  fi
  if [[ -n $U_CONDA ]]; then
    u_conda_root || u_refuse "conda env \`$U_CONDA\` is asked for, but no conda was found (CONDA_EXE and the usual places)"
    u_here "$U_CONDA"
    if [[ $PLACE == /* ]]; then [[ -d $PLACE ]] || u_refuse "conda env \`$PLACE\` does not exist"
    elif [[ $PLACE != base && ! -d $CONDA_ROOT/envs/$PLACE && ! -d ~/.conda/envs/$PLACE ]] && ! grep -sqE "/${PLACE//./[.]}/?\$" ~/.conda/environments.txt; then
      u_refuse "conda env \`$PLACE\` does not exist under \`$CONDA_ROOT/envs\`"
    fi
    source "$CONDA_ROOT/etc/profile.d/conda.sh"
    conda activate "$PLACE" || u_refuse "\`conda activate $PLACE\` failed, see the log"
  fi
  if [[ -n $U_VENV ]]; then
    u_here "$U_VENV"
    [[ -r $PLACE/bin/activate ]] || u_refuse "venv \`$PLACE\` has no bin/activate"
    source "$PLACE/bin/activate"
  fi
}
u_special() { # names that bash itself gives a value, or refuses to set
  [[ $1 == @(BASH*|UID|EUID|PPID|GROUPS|SHELLOPTS|SHLVL|RANDOM|SRANDOM|SECONDS|LINENO|EPOCH*|EXECIGNORE|HISTCMD|DIRSTACK|FUNCNAME|FUNCNEST|PIPESTATUS|COMP_*|COPROC|_|IFS|OPTIND|OPTERR|POSIXLY_CORRECT|U_*) ]]
}
u_set() { # NAME VALUE, into the program's environment
  if u_special "$1"; then U_ENV+=("$1=$2"); else export -- "$1=$2" 2>/dev/null; fi
}
u_drop() { # credentials, endpoints, proxies; the names go to the file `dropped`
  local U_N U_NAMES U_MINE=" ${U_PASS[*]} ${U_MAY_PASS[*]} "
  for ((U_N = 0; U_N < ${#U_SET[@]}; U_N += 2)); do U_MINE+="${U_SET[U_N]} "; done
  compgen -e >"$U_DIR/intended"; mapfile -t U_NAMES <"$U_DIR/intended"
  shopt -s nocasematch
  for U_N in "${U_NAMES[@]}"; do
    if [[ $U_N == @($U_CREDENTIALS) && $U_MINE != *" $U_N "* ]]; then
      unset -v "$U_N" 2>/dev/null || export -n "${U_N?}"; echo "$U_N"
    fi
  done >"$U_DIR/dropped"
  shopt -u nocasematch
}
u_child() {
  local U_I U_FD U_BOX U_ENV=() U_DIR=$D U_GPU_LIST=${S[gpus]} U_NOFILE=${S[nofile]} U_HOME_DIR
  local U_MARK=$RUN/$U_UNIT/${S[generation]}/${S[launch]}
  trap - TERM INT QUIT HUP PIPE USR1 USR2
  : 2>/dev/null >>"${S[log]}" || u_refuse "log \`${S[log]}\` cannot be written" # made for us alone
  umask "${U_UMASK:-$UMASK_WAS}"
  exec </dev/null >>"${S[log]}" 2>&1
  for U_FD in /proc/self/fd/*; do
    U_FD=${U_FD##*/}; ((U_FD > 2 && U_FD != 255)) && eval "exec $U_FD>&-"
  done
  if [[ -n $U_LC_ALL_SET ]]; then LC_ALL=$U_LC_ALL; else unset LC_ALL; fi
  export TOOLORCH_UNIT=$U_MARK # what the next lines start is ours, too
  u_here "$U_CWD"
  builtin cd -- "${PLACE:-${HOME:-/}}" 2>/dev/null || u_refuse "working directory \`$PLACE\` does not exist or cannot be entered"
  U_HOME_DIR=$PWD
  u_activate
  trap 'u_refuse "a setup line ended the shell, its last words are in the log"' EXIT
  for U_I in "${!U_SETUP[@]}"; do
    eval "${U_SETUP[U_I]}" || echo "toolorch: setup line $((U_I + 1)) ended with status $?: ${U_SETUP[U_I]}"
  done
  trap - EXIT
  set +a +e +f +u +v +x +o posix +o pipefail; IFS=$' \t\n'
  shopt -s nullglob extglob; shopt -u nocasematch failglob
  [[ -n $U_UMASK ]] && umask "$U_UMASK"
  builtin cd -- "$U_HOME_DIR" || u_refuse "working directory \`$U_HOME_DIR\` is gone"
  unset -v OLDPWD
  u_drop
  declare -Fx >"$U_DIR/intended"; while read -r _ _ U_I; do export -nf "${U_I?}"; done <"$U_DIR/intended"
  for U_I in "${U_UNSET[@]}"; do unset -v "$U_I" 2>/dev/null || export -n "${U_I?}"; done
  export PYTHONUNBUFFERED=1 SPT_NOENV=1 TOOLORCH_UNIT=$U_MARK CUDA_VISIBLE_DEVICES=$U_GPU_LIST
  if [[ -n $U_CACHE_DIR ]]; then # servers started together have corrupted a shared cache for each other
    u_here "$U_CACHE_DIR"; mkdir -p -- "$PLACE" || u_refuse "cache directory \`$PLACE\` cannot be made"
    export VLLM_CACHE_ROOT=$PLACE/vllm TORCHINDUCTOR_CACHE_DIR=$PLACE/inductor TRITON_CACHE_DIR=$PLACE/triton
  fi
  [[ -n $U_NOFILE ]] && ulimit -Sn "$U_NOFILE" 2>/dev/null
  for U_I in "${!U_PASSED[@]}"; do u_set "$U_I" "${U_PASSED[$U_I]}"; done
  for ((U_I = 0; U_I < ${#U_SET[@]}; U_I += 2)); do u_set "${U_SET[U_I]}" "${U_SET[U_I + 1]}"; done
  u_stage
  u_container
  { compgen -e; printf '%s\n' "${U_ENV[@]%%=*}"; } >"$U_DIR/intended"
  U_ARGV=("${U_BOX[@]}" "${U_ARGV[@]}")
  if [[ ${U_ARGV[0]} == */* ]]; then [[ -x ${U_ARGV[0]} && ! -d ${U_ARGV[0]} ]]; else type -P -- "${U_ARGV[0]}" >/dev/null; fi ||
    u_refuse "command \`${U_ARGV[0]}\` not found or not executable (PATH=$PATH)"
  # An orphan that nobody wrote down must not start.
  u_read_stat "$BASHPID" && [[ $ST_PPID == "$$" ]] || exit 75
  if ((${#U_ENV[@]})); then exec env -- "${U_ENV[@]}" setsid -- "${U_ARGV[@]}"; fi
  exec setsid -- "${U_ARGV[@]}"
}
