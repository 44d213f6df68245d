// The clock loop around a verilated design, behind a C interface for ctypes.
//
// "ports.h" is generated from the component. It lists its ports as X-macros, with an index each: SOURCES (input
// streams: payload, valid, ready), SINKS (output streams with back-pressure: payload, valid, ready), RECORDS (output
// streams without: payload, valid), INPUTS and OUTPUTS (plain ports), MEMORIES (the read
// channels of AXI4; a macro that makes a port of a signal's name).

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "Vtop.h"
#include "ports.h"
#include "verilated.h"
#include "verilated_sym_props.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

// Values cross the interface as 32-bit words, the lowest first, whatever type Verilator gave a port.
template <typename T>
void load(T& port, const uint32_t* words) {
    uint64_t value = words[0];
    if (sizeof(T) > 4) value |= uint64_t(words[1]) << 32;
    port = static_cast<T>(value);
}

template <std::size_t N>
void load(VlWide<N>& port, const uint32_t* words) {
    for (std::size_t i = 0; i < N; i++) port[i] = words[i];
}

template <typename T>
void store(const T& port, uint32_t* words) {
    words[0] = static_cast<uint32_t>(port);
    if (sizeof(T) > 4) words[1] = static_cast<uint32_t>(uint64_t(port) >> 32);
}

template <std::size_t N>
void store(const VlWide<N>& port, uint32_t* words) {
    for (std::size_t i = 0; i < N; i++) words[i] = port[i];
}

constexpr int CYCLE_WORDS = 2;  // the 64-bit cycle number in front of every record

struct Source {
    std::vector<uint32_t> words;
    std::size_t stride = 0;  // words of an item
    std::size_t next = 0;    // first word of the item to send
    uint64_t stall = 0;      // probability of an idle cycle, in units of 2**-32
    bool offered = false;

    bool drained() const { return next >= words.size(); }
};

struct Sink {
    std::vector<uint32_t> words;
    std::size_t stride = 0;
    uint64_t stall = 0;
};

// External memory behind the read channels of AXI4: bursts are answered in order, the first word of one `latency`
// cycles after it could be at the earliest, which is two cycles after its address.
struct Memory {
    struct Burst {
        uint64_t address, due;
        uint32_t words;
    };

    std::vector<uint8_t> contents;
    std::deque<Burst> bursts;
    std::size_t width = 0;  // bytes of a word
    uint64_t latency = 0;
    double bandwidth = 1, saved = 1;
    uint64_t stall = 0;
    bool offered = false;
};

struct Simulation {
    VerilatedContext context;
    std::unique_ptr<Vtop> top;
    Source sources[SOURCE_COUNT + 1];
    Sink sinks[SINK_COUNT + 1];
    Memory memories[MEMORY_COUNT + 1];
    uint64_t cycle = 0;
    uint64_t random = 1;
#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> trace;
#endif

    Simulation() : top(new Vtop{&context, ""}) {}

    // xorshift64*
    bool stalls(uint64_t probability) {
        if (!probability) return false;
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        return ((random * 0x2545F4914F6CDD1DULL) >> 32) < probability;
    }

    template <typename T>
    void offer(Source& source, T& payload, CData& valid) {
        if (source.offered) return;
        source.offered = !source.drained() && !stalls(source.stall);
        if (source.offered) load(payload, &source.words[source.next]);
        valid = source.offered;
    }

    void settle(Source& source, CData ready) {
        if (!source.offered || !ready) return;
        source.next += source.stride;
        source.offered = false;
    }

    template <typename T>
    void take(Sink& sink, const T& payload, bool transfer) {
        if (!transfer) return;
        const std::size_t end = sink.words.size();
        sink.words.resize(end + sink.stride);
        sink.words[end] = static_cast<uint32_t>(cycle);
        sink.words[end + 1] = static_cast<uint32_t>(cycle >> 32);
        store(payload, &sink.words[end + CYCLE_WORDS]);
    }

    template <typename T>
    void answer(Memory& memory, T& rdata, CData& rvalid, CData& rlast, CData& arready) {
        arready = !stalls(memory.stall);
        memory.saved = std::min(1.0, memory.saved) + memory.bandwidth;
        const bool may = memory.saved >= 1 && !stalls(memory.stall);
        if (may) memory.saved -= 1;
        memory.offered = may && !memory.bursts.empty() && memory.bursts.front().due <= cycle;
        rvalid = memory.offered;
        if (!memory.offered) return;
        const Memory::Burst& burst = memory.bursts.front();
        uint32_t words[sizeof(T) / 4 + 2] = {};
        if (burst.address + memory.width <= memory.contents.size())
            std::memcpy(words, &memory.contents[burst.address], memory.width);
        load(rdata, words);
        rlast = burst.words == 1;
    }

    void serve(Memory& memory, CData rready, bool asked, uint64_t address, uint32_t length) {
        if (memory.offered && rready) {
            Memory::Burst& burst = memory.bursts.front();
            burst.address += memory.width;
            if (--burst.words == 0) memory.bursts.pop_front();
        }
        if (asked) memory.bursts.push_back({address, cycle + 2 + memory.latency, length + 1});
    }

    void dump(uint64_t time) {
#if VM_TRACE
        if (trace) trace->dump(time);
#endif
        (void)time;
    }

    // One clock cycle: inputs change after the rising edge, everything is sampled just before the next one.
    void step() {
#define OFFER(index, payload, valid, ready) offer(sources[index], top->payload, top->valid);
        SOURCES(OFFER)
#define ADMIT(index, payload, valid, ready) top->ready = !stalls(sinks[index].stall);
        SINKS(ADMIT)
#define ANSWER(index, bus) answer(memories[index], top->bus(rdata), top->bus(rvalid), top->bus(rlast), top->bus(arready));
        MEMORIES(ANSWER)
        top->clk = 0;
        top->eval();
        dump(2 * cycle);
#define SETTLE(index, payload, valid, ready) settle(sources[index], top->ready);
        SOURCES(SETTLE)
#define TAKE(index, payload, valid, ready) take(sinks[index], top->payload, top->valid && top->ready);
        SINKS(TAKE)
#define RECORD(index, payload, valid) take(sinks[index], top->payload, top->valid);
        RECORDS(RECORD)
#define SERVE(index, bus)                                                                       \
    serve(memories[index], top->bus(rready), top->bus(arvalid) && top->bus(arready), top->bus(araddr), \
          top->bus(arlen));
        MEMORIES(SERVE)
    }

    void edge() {
        top->clk = 1;
        top->eval();
        dump(2 * cycle + 1);
        cycle++;
    }
};

// A signal that the build made public, or nullptr.
VerilatedVar* find(Simulation* sim, const char* scope, const char* name) {
    const VerilatedScope* found = sim->context.scopeFind(scope);
    return found ? found->varFind(name) : nullptr;
}

}  // namespace

EXPORT Simulation* sim_new(const uint32_t* source_words, const uint32_t* sink_words, uint64_t seed) {
    auto* sim = new Simulation;
    for (int i = 0; i < SOURCE_COUNT; i++) sim->sources[i].stride = source_words[i];
    for (int i = 0; i < SINK_COUNT; i++) sim->sinks[i].stride = sink_words[i] + CYCLE_WORDS;
    sim->random = seed * 2 + 1;  // never zero
    // A reset that is 1 from the first evaluation on does not reach the gates of a netlist: it has to rise.
    sim->top->eval();
    return sim;
}

EXPORT void sim_delete(Simulation* sim) {
#if VM_TRACE
    if (sim->trace) sim->trace->close();
#endif
    sim->top->final();
    delete sim;
}

EXPORT void sim_reset(Simulation* sim, int cycles) {
    for (Source& source : sim->sources) {
        source.words.clear();
        source.next = 0;
        source.offered = false;
    }
    sim->top->rst = 1;
    for (int i = 0; i < cycles; i++) {
        sim->step();
        sim->edge();
    }
    sim->top->rst = 0;
    // What the design asked for until the reset took effect is forgotten too.
    for (Memory& memory : sim->memories) {
        memory.bursts.clear();
        memory.offered = false;
    }
    for (Sink& sink : sim->sinks) sink.words.clear();
}

// Appends items to an input stream.
EXPORT void sim_send(Simulation* sim, int index, const uint32_t* words, uint64_t count) {
    Source& source = sim->sources[index];
    source.words.erase(source.words.begin(), source.words.begin() + source.next);
    source.next = 0;
    source.words.insert(source.words.end(), words, words + count);
}

EXPORT void sim_stall_source(Simulation* sim, int index, double probability) {
    sim->sources[index].stall = static_cast<uint64_t>(probability * 4294967296.0);
}

EXPORT void sim_stall_sink(Simulation* sim, int index, double probability) {
    sim->sinks[index].stall = static_cast<uint64_t>(probability * 4294967296.0);
}

// Sets what a memory holds, from address 0 on, and how it behaves.
EXPORT void sim_memory(Simulation* sim, int index, const uint8_t* contents, uint64_t size, uint64_t width,
                       uint64_t latency, double bandwidth) {
    Memory& memory = sim->memories[index];
    memory.contents.assign(contents, contents + size);
    memory.width = width;
    memory.latency = latency;
    memory.bandwidth = bandwidth;
    memory.saved = 1;
}

EXPORT void sim_stall_memory(Simulation* sim, int index, double probability) {
    sim->memories[index].stall = static_cast<uint64_t>(probability * 4294967296.0);
}

EXPORT uint64_t sim_pending(Simulation* sim, int index) {
    const Source& source = sim->sources[index];
    return (source.words.size() - source.next) / source.stride;
}

EXPORT void sim_set(Simulation* sim, int index, const uint32_t* words) {
    switch (index) {
#define SET(index, port) \
    case index: load(sim->top->port, words); break;
        INPUTS(SET)
        default: break;
    }
}

EXPORT void sim_get(Simulation* sim, int index, uint32_t* words) {
    switch (index) {
#define GET(index, port) \
    case index: store(sim->top->port, words); break;
        OUTPUTS(GET)
        default: break;
    }
}

// Runs for some cycles, or until the output `until` is set (its cycle is the last) or the source `drained` is empty;
// a negative index means no such condition. Returns whether a condition ended the run.
EXPORT int sim_run(Simulation* sim, uint64_t cycles, int until, int drained) {
    uint32_t words[OUTPUT_WORDS];
    for (uint64_t i = 0; i < cycles; i++) {
        if (drained >= 0 && sim->sources[drained].drained()) return 1;
        sim->step();
        bool stop = false;
        if (until >= 0) {
            sim_get(sim, until, words);
            stop = words[0] & 1;
        }
        sim->edge();
        if (stop) return 1;
    }
    return 0;
}

EXPORT uint64_t sim_cycle(Simulation* sim) { return sim->cycle; }

// Records of an output stream as words: cycle (2 words), payload.
EXPORT uint64_t sim_records(Simulation* sim, int index, const uint32_t** words) {
    *words = sim->sinks[index].words.data();
    return sim->sinks[index].words.size();
}

EXPORT void sim_clear_records(Simulation* sim, int index) { sim->sinks[index].words.clear(); }

// Inverts one bit of a public signal, or of one row of a public memory. Returns whether there is such a bit.
EXPORT int sim_flip(Simulation* sim, const char* scope, const char* name, uint32_t row, uint32_t bit) {
    const VerilatedVar* var = find(sim, scope, name);
    if (!var) return 0;
    const uint32_t rows = var->udims() ? var->unpackedRanges()[0].elements() : 1;
    if (row >= rows || bit >= var->entBits()) return 0;
    auto* bytes = static_cast<uint8_t*>(var->datap()) + std::size_t(row) * var->entSize();
    bytes[bit / 8] ^= uint8_t(1) << (bit % 8);
    return 1;
}

EXPORT int sim_trace(Simulation* sim, const char* path) {
#if VM_TRACE
    sim->context.traceEverOn(true);
    sim->trace = std::make_unique<VerilatedVcdC>();
    sim->top->trace(sim->trace.get(), 99);
    sim->trace->open(path);
    return sim->trace->isOpen();
#else
    (void)sim;
    (void)path;
    return 0;
#endif
}
