# missing WHAT=PACKAGE …: prints the packages of missing programs. WHAT is the form in which tests use it:
#   name           a program that is found by PATH
#   /path          a program at that path, whatever PATH is
#   module@python  a module that this python imports
missing() {
  local pair what
  for pair; do
    what=${pair%=*}
    case $what in
      /*) [[ -x $what ]] ;;
      *@*) "${what#*@}" -c "import ${what%@*}" 2>/dev/null ;;
      *) command -v "$what" >/dev/null ;;
    esac || echo "${pair##*=}"
  done
}
