# ---- Containers: words before the program (runs in the forked child) ---------------------------------
# The program stays a child of ours, with our mark, so that all else is the same.  What it needs of this machine is mounted at
# the same place: its working directory, its results, its caches, and what the YAML names beside them.
u_mounts() { # -> U_MOUNTS
  local U_I
  U_MOUNTS=()
  for U_I in "$PWD" "${U_CACHE_DIR:+${VLLM_CACHE_ROOT%/vllm}}" "${HF_HOME:-${HOME-}/.cache/huggingface}" "${HF_HUB_CACHE-}" "$U_RESULTS"; do
    u_here "$U_I"; [[ $PLACE == /* && -d $PLACE && $PLACE != *[:,]* ]] && U_MOUNTS+=("$PLACE:$PLACE")
  done
  for U_I in "${U_CONTAINER[@]:2}"; do u_here "$U_I"; U_MOUNTS+=("$PLACE"); done
}
u_container() { # -> U_BOX
  local U_I U_MOUNTS U_IMAGE U_NAMES=(TOOLORCH_UNIT CUDA_VISIBLE_DEVICES PYTHONUNBUFFERED ${HF_HUB_CACHE:+HF_HUB_CACHE} "${!U_PASSED[@]}") U_LIST U_RUNTIME
  U_BOX=()
  ((${#U_CONTAINER[@]})) || return 0
  u_mounts
  u_here "${U_CONTAINER[1]}"; U_IMAGE=$PLACE
  for ((U_I = 0; U_I < ${#U_SET[@]}; U_I += 2)); do U_NAMES+=("${U_SET[U_I]}"); done
  if [[ ${U_CONTAINER[0]} == pyxis ]]; then
    printf -v U_LIST '%s,' "${U_MOUNTS[@]}"
    U_BOX=(srun --export=ALL --overlap --ntasks=1 --nodes=1 --container-image="$U_IMAGE" --container-workdir="$PWD" --container-mounts="${U_LIST%,}")
    printf -v U_LIST '%s,' "${U_NAMES[@]}"
    # SLURM gives each step all GPUs of the job.
    U_BOX+=(--container-env="${U_LIST%,}" env CUDA_VISIBLE_DEVICES="${CUDA_VISIBLE_DEVICES-}")
    return
  fi
  U_RUNTIME=${U_CONTAINER[0]^^} U_BOX=("${U_CONTAINER[0]}" exec --pwd "$PWD")
  [[ -n $U_GPU_LIST ]] && U_BOX+=(--nv)
  for U_I in "${U_MOUNTS[@]}"; do U_BOX+=(--bind "$U_I"); done
  U_BOX+=("$U_IMAGE")
  # Without these, what the image sets would win.
  for U_I in "${U_NAMES[@]}"; do export -- "${U_RUNTIME}ENV_$U_I=${!U_I-}"; done
}
