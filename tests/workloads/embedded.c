/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A C program with CPython in it, as servers and applications embed it. Python comes when told,
 * code runs in threads that C and that Python made, and the interpreter is taken down and brought
 * up again.
 *
 * usage: embedded KEYS LIBPYTHON WORKLOADS FOLDER
 *
 * KEYS thread-specific keys are taken before Python takes its own. LIBPYTHON, unless it is "-", is
 * opened by dlopen.
 *
 * Lines on standard input: "init", "record NAME", "elsewhere NAME", "leak SECONDS", "keys NUMBER",
 * "finalize", "end".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 3

/* As Python's headers declare them, which need not be here. */
typedef enum { LOCKED, UNLOCKED } PyGILState_STATE;
typedef struct thread_state PyThreadState;
typedef struct interpreter_state PyInterpreterState;

/* What is called of Python's API, by name. */
static struct {
    void (*initialize)(int);
    int (*finalize)(void);
    PyGILState_STATE (*ensure)(void);
    void (*release)(PyGILState_STATE);
    PyThreadState *(*save_thread)(void);
    void (*restore_thread)(PyThreadState *);
    int (*run_string)(const char *);
    PyThreadState *(*new_interpreter)(void);
    PyInterpreterState *(*current_interpreter)(void);
    PyThreadState *(*new_thread_state)(PyInterpreterState *);
    PyThreadState *(*swap)(PyThreadState *);
} api;

static const char *workloads, *folder;
static PyThreadState *main_state;

static void die(const char *why) {
    fprintf(stderr, "embedded: %s\n", why);
    exit(1);
}

static void *named(void *library, const char *name) {
    void *found = dlsym(library, name);

    if (!found)
        die(dlerror());
    return found;
}

static void open_python(const char *path) {
    void *library = RTLD_DEFAULT;

    if (strcmp(path, "-")) {
        library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
        if (!library)
            die(dlerror());
    }
    api.initialize = named(library, "Py_InitializeEx");
    api.finalize = named(library, "Py_FinalizeEx");
    api.ensure = named(library, "PyGILState_Ensure");
    api.release = named(library, "PyGILState_Release");
    api.save_thread = named(library, "PyEval_SaveThread");
    api.restore_thread = named(library, "PyEval_RestoreThread");
    api.run_string = named(library, "PyRun_SimpleString");
    api.new_interpreter = named(library, "Py_NewInterpreter");
    /* Python 3.8 calls it otherwise. */
    api.current_interpreter = dlsym(library, "PyInterpreterState_Get");
    if (!api.current_interpreter)
        api.current_interpreter = named(library, "_PyInterpreterState_Get");
    api.new_thread_state = named(library, "PyThreadState_New");
    api.swap = named(library, "PyThreadState_Swap");
}

static void say(const char *word) {
    puts(word);
    fflush(stdout);
}

static void run(const char *call, const char *argument) {
    char script[4096];

    snprintf(script, sizeof script,
             "import sys\n"
             "sys.dont_write_bytecode = True\n"
             "sys.path.insert(0, '%s')\n"
             "import inside_interpreter\n"
             "inside_interpreter.%s%s\n",
             workloads, call, argument);
    if (api.run_string(script))
        die("a Python call failed");
}

static void *work(void *argument) {
    PyGILState_STATE held = api.ensure();

    (void)argument;
    run("work(40)", "");
    api.release(held);
    return 0;
}

static void record(const char *name) {
    pthread_t threads[THREADS];
    char argument[2048];
    int i;

    snprintf(argument, sizeof argument, "'%s/%s')", folder, name);
    api.restore_thread(main_state);
    run("begin(", argument);
    main_state = api.save_thread();
    for (i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], 0, work, 0))
            die("no thread");
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], 0);
    api.restore_thread(main_state);
    run("work(40)", "");
    run("work_in_threads(40)", "");
    run("finish(", argument);
    main_state = api.save_thread();
    say("RECORDED");
}

/* A thread of C's own that runs code of another interpreter, as mod_wsgi's threads do. */
static void *work_elsewhere(void *interpreter) {
    PyThreadState *state = api.new_thread_state(interpreter);

    api.restore_thread(state);
    run("work(40)", "");
    api.save_thread();
    return 0;
}

static void record_elsewhere(const char *name) {
    PyThreadState *other;
    PyInterpreterState *interpreter;
    pthread_t thread;
    char argument[2048];

    snprintf(argument, sizeof argument, "'%s/%s')", folder, name);
    api.restore_thread(main_state);
    other = api.new_interpreter();
    if (!other)
        die("no other interpreter");
    run("begin(", argument);
    interpreter = api.current_interpreter();
    api.save_thread();
    if (pthread_create(&thread, 0, work_elsewhere, interpreter))
        die("no thread");
    pthread_join(thread, 0);
    api.restore_thread(other);
    run("finish(", argument);
    api.swap(main_state);
    main_state = api.save_thread();
    say("RECORDED");
}

static void take_keys(int keys, void *value) {
    pthread_key_t key;

    for (; keys > 0; keys--)
        if (pthread_key_create(&key, 0) || (value && pthread_setspecific(key, value)))
            die("no key");
}

int main(int count, char **arguments) {
    char line[256];

    if (count != 5)
        die("usage: embedded KEYS LIBPYTHON WORKLOADS FOLDER");
    workloads = arguments[3];
    folder = arguments[4];
    take_keys(atoi(arguments[1]), 0);
    alarm(900);
    say("READY");
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (!strcmp(line, "init")) {
            open_python(arguments[2]);
            api.initialize(0);
            main_state = api.save_thread();
            say("INITIALIZED");
        } else if (!strncmp(line, "record ", 7)) {
            record(line + 7);
        } else if (!strncmp(line, "elsewhere ", 10)) {
            record_elsewhere(line + 10);
        } else if (!strncmp(line, "leak ", 5)) {
            api.restore_thread(main_state);
            run("leak_for(", strcat(line + 5, ")"));
            main_state = api.save_thread();
            say("LEAKED");
        } else if (!strncmp(line, "keys ", 5)) {
            take_keys(atoi(line + 5), &api);
            say("TAKEN");
        } else if (!strcmp(line, "finalize")) {
            api.restore_thread(main_state);
            if (api.finalize())
                die("not finalized");
            say("FINALIZED");
        } else if (!strcmp(line, "end")) {
            break;
        }
    }
    fflush(stdout);
    _exit(0);
}
