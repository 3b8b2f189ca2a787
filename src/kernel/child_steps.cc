// The words of a failure in init: "cannot ...".
#include "child_init.h"

namespace netjail::init {

const char* step_name(Step step) {
  switch (step) {
    case Step::none: return "start";
    case Step::parent_death: return "tie the jail to the supervisor";
    case Step::session: return "start a session for the jail";
    case Step::user_namespace: return "make a user namespace";
    case Step::namespaces: return "make the jail's mount and IPC namespaces";
    case Step::proc: return "make a new /proc for the jail";
    case Step::router: return "make the router's network namespace";
    case Step::jail: return "make the jail's network namespace";
    case Step::sysctl: return "set the sysctl";
    case Step::sockets: return "open the sockets of the jail and its router";
    case Step::mount: return "mount";
    case Step::cwd: return "enter the working directory";
    case Step::core_limit: return "limit core dumps";
    case Step::keyring: return "make a session keyring";
    case Step::bounding_set: return "empty the capability bounding set";
    case Step::groups: return "set the groups";
    case Step::gid: return "set the group id";
    case Step::uid: return "set the user id";
    case Step::capabilities: return "drop the capabilities";
    case Step::no_new_privileges: return "set no_new_privs";
    case Step::descriptors: return "close the inherited descriptors";
    case Step::seccomp: return "install the seccomp filter";
    case Step::fork: return "start a process in the jail";
    case Step::signals: return "watch signals";
    case Step::sockets_scope: return "confine unix sockets (Landlock)";
  }
  return "start";
}

}  // namespace netjail::init
